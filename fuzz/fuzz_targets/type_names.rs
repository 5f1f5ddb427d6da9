//! Any text as a type name: refused, or shown in a spelling that means the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rows::Type;

fuzz_target!(|name: &str| {
    if let Ok(ty) = Type::parse(name) {
        assert_eq!(Type::parse(&ty.to_string()), Ok(ty));
    }
});
