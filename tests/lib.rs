//! Nothing: this package owns tests/, benches/ and examples/.
