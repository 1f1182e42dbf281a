//! The skirl command. Everything is in the library, so that a program with environments of its own can be the same command.

fn main() -> std::process::ExitCode {
    skirl_cli::main_from_args()
}
