//! An image reference, a digest, a platform, a target: what is read is written so that it reads the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tidewaiter::model::digest::Digest;
use tidewaiter::model::platform::Platform;
use tidewaiter::model::reference::ImageRef;
use tidewaiter::source::target::Target;

fuzz_target!(|text: &str| {
    if let Ok(image) = text.parse::<ImageRef>() {
        let again: ImageRef = image.to_string().parse().expect("what is written is read");
        assert_eq!(
            (image.host(), image.repository(), image.target()),
            (again.host(), again.repository(), again.target())
        );
    }
    if let Ok(digest) = text.parse::<Digest>() {
        assert_eq!(digest.as_str(), text);
    }
    if let Ok(platform) = text.parse::<Platform>() {
        assert_eq!(platform.to_string().parse::<Platform>().expect("what is written is read"), platform);
    }
    let _ = text.parse::<Target>();
});
