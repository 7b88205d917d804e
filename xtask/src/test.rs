//! `cargo xtask test`: the whole suite, with the real parts.

use crate::{
    command::{cargo, run_through},
    failure::Result,
    parts,
};

/// Sets up the parts, builds everything (the system tests start the built binaries), then runs the tests.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let parts = parts::set_up()?;
    run_through(&mut cargo(&["build", "--workspace"]))?;
    let mut test = cargo(&["test"]);
    if !chooses_packages(arguments) {
        test.arg("--workspace");
    }
    test.args(arguments).env("DAGTEL_REAL_PARTS", "1").envs(parts.environment());
    run_through(&mut test)
}

/// Beside `--workspace`, cargo would ignore the person's choice.
fn chooses_packages(arguments: &[String]) -> bool {
    arguments.iter().take_while(|argument| *argument != "--").any(|argument| {
        argument.starts_with("-p") || argument.starts_with("--package") || argument == "--workspace"
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chooses(line: &str) -> bool {
        chooses_packages(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn a_chosen_package_replaces_the_workspace() {
        assert!(chooses("-p dagtel-core"));
        assert!(chooses("--package=dagtel-core some_test"));
        assert!(!chooses("some_test"));
        assert!(!chooses("some_test -- -p"), "what follows the dashes is for the test binary");
    }
}
