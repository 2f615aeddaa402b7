//! Lists a registry with dates, and where each date comes from: `cargo run --example list [REGISTRY [PATTERN]]`.
//!
//! Without a registry it makes one in this process, with a few images.

use futures_util::TryStreamExt;
use tidewaiter::conformance::image::{ImageBuilder, Layer};
use tidewaiter::conformance::registry::TestRegistry;
use tidewaiter::{Registry, Scanner, Selection};

#[tokio::main]
async fn main() -> tidewaiter::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (address, _sample) = match arguments.next() {
        Some(address) => (address, None),
        None => {
            let sample = sample()?;
            (sample.url(), Some(sample))
        }
    };
    let registry = Registry::docker(address);
    let selection = Selection::new().repositories(arguments)?;
    let scanner = Scanner::builder().build()?;
    let mut images = scanner.images(&registry, &selection);
    while let Some(image) = images.try_next().await? {
        println!("{image}");
    }
    Ok(())
}

fn sample() -> tidewaiter::Result<TestRegistry> {
    let registry = TestRegistry::start()?;
    for (repository, tag, day) in [("team/api", "1.0", 3), ("team/api", "1.1", 17), ("team/web", "2026-11", 20)] {
        let built = format!("2026-11-{day:02}T08:00:00Z");
        let image = ImageBuilder::new().layer(Layer::new().file("built", &built)).created(&built).build();
        registry.push(repository, tag, &image);
    }
    Ok(registry)
}
