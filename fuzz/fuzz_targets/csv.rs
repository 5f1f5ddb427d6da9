//! Any bytes as CSV.
#![no_main]

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use rows_check::Plan;
use rows_types::Input;

static PLAN: LazyLock<Arc<Plan>> = LazyLock::new(|| rows_fuzz::plan(&Input::default()));

fuzz_target!(|bytes: &[u8]| drop(rows_fuzz::check(&PLAN, bytes, 1)));
