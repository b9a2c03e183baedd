#![cfg_attr(fuzzing, no_main)]
#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| drop(fuzz::settings_file(data)));
#[cfg(not(fuzzing))]
fn main() {}
