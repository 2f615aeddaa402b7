//! Three lines as versions of every scheme: an order, whatever they are.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tidewaiter::version::ALL;

fuzz_target!(|text: &str| {
    let mut lines = text.splitn(3, '\n');
    let mut next = || lines.next().unwrap_or_default();
    let (a, b, c) = (next(), next(), next());
    for scheme in ALL {
        let compare = scheme.compare;
        let (ab, ba) = (compare(a, b), compare(b, a));
        assert_eq!(ab, ba.map(std::cmp::Ordering::reverse), "{}: antisymmetric", scheme.id);
        assert_eq!(ab.is_some(), compare(a, a).is_some() && compare(b, b).is_some(), "{}: total", scheme.id);
        if let (Some(ab), Some(bc), Some(ac)) = (ab, compare(b, c), compare(a, c)) {
            if ab == bc || ab.is_eq() {
                assert_eq!(ac, bc, "{}: transitive", scheme.id);
            } else if bc.is_eq() {
                assert_eq!(ac, ab, "{}: transitive", scheme.id);
            }
        }
    }
});
