//! Any bytes as JSON lines.
#![no_main]

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use rows_check::Plan;
use rows_types::{Format, Input};

static PLAN: LazyLock<Arc<Plan>> =
    LazyLock::new(|| rows_fuzz::plan(&Input { format: Format::JsonLines, ..Input::default() }));

fuzz_target!(|bytes: &[u8]| drop(rows_fuzz::check(&PLAN, bytes, 1)));
