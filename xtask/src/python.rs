//! A Python of our own under target/, with what the tests written in Python need.

use std::path::PathBuf;

use crate::program::{find, program, root};

const REQUIREMENTS: &str = "tests/requirements.txt";

/// Makes the environment on the first call, brings it up to `tests/requirements.txt`, and returns its interpreter.
pub(crate) fn interpreter() -> Result<PathBuf, String> {
    let folder = root().join("target/python");
    let python = folder.join("bin/python");
    let wanted =
        std::fs::read_to_string(root().join(REQUIREMENTS)).map_err(|error| format!("{REQUIREMENTS}: {error}"))?;
    let stamp = folder.join("installed.txt");
    if python.is_file() && std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(python);
    }
    let system = find("python3").ok_or("python3 is missing: install it (apt install python3 python3-venv)")?;
    let made = program(system, ["-m", "venv", "--clear", "target/python"]).run();
    made.map_err(|reason| format!("{reason}; install venv (apt install python3-venv)"))?;
    program(&python, ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", REQUIREMENTS]).run()?;
    std::fs::write(&stamp, wanted).map_err(|error| error.to_string())?;
    Ok(python)
}
