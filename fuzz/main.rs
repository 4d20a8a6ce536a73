//! libFuzzer over one of Tagtide's targets, which the variable `TAGTIDE_FUZZ` names. `make fuzz` builds and runs it.

#![no_main]

use std::env;
use std::process::exit;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tagtide::fuzzing::{Target, targets};

static TARGET: LazyLock<Target> = LazyLock::new(|| {
    let name = env::var("TAGTIDE_FUZZ").unwrap_or_default();
    targets().into_iter().find(|target| target.name == name).unwrap_or_else(|| {
        let names: Vec<&str> = targets().iter().map(|target| target.name).collect();
        eprintln!("TAGTIDE_FUZZ names no target; there are {}", names.join(", "));
        exit(2)
    })
});

fuzz_target!(|input: &[u8]| (TARGET.run)(input));
