//! The program; see the library.

fn main() -> std::process::ExitCode {
    ctl_bin::main()
}
