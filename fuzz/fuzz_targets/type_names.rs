//! Any text as a type name: it is refused, or shown in a spelling that means the same type.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rows_types::Type;

fuzz_target!(|name: &str| {
    if let Ok(ty) = Type::parse(name) {
        assert_eq!(Type::parse(&ty.to_string()), Ok(ty));
    }
});
