//! Docker's `config.json`, with who we are at a few hosts. No helper is run: what could name one is only parsed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tidewaiter::Context;
use tidewaiter::registry::docker_config::DockerConfig;

fuzz_target!(|text: &[u8]| {
    let Ok(config) = DockerConfig::parse(text) else { return };
    // With a backslash any name can be spelled.
    if text.contains(&b'\\') || text.windows(4).any(|word| word == b"cred") {
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    for (host, repository) in [("docker.io", Some("library/a")), ("registry.example:5000", Some("a/b/c")), ("a", None)]
    {
        let _ = runtime.block_on(config.identity(host, repository, &Context::new()));
    }
});
