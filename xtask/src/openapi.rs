//! `cargo xtask openapi`: the description of the API, generated from the handlers and committed.

use clap::Args;

use crate::program::{built, cargo, program, root};

/// Where the committed description lies, from the repository's folder.
const FILE: &str = "openapi/coffer.json";

/// The arguments of `cargo xtask openapi`.
#[derive(Args)]
pub(crate) struct Openapi {
    /// Only compare the committed file with the handlers
    #[arg(long)]
    check: bool,
}

impl Openapi {
    pub(crate) fn run(&self) -> Result<(), String> {
        // With the tests, since their dependencies turn features on: alone, the program would be built a second time.
        cargo(["build", "--quiet", "--workspace", "--bins", "--tests", "--locked"]).run()?;
        let fresh = program(built("debug/coffer"), ["openapi"]).output()?;
        let path = root().join(FILE);
        if self.check {
            return check(&fresh);
        }
        std::fs::create_dir_all(path.parent().expect("the file has a folder")).map_err(|error| error.to_string())?;
        std::fs::write(&path, fresh).map_err(|error| format!("{FILE}: {error}"))?;
        println!("wrote {FILE}");
        Ok(())
    }
}

fn check(fresh: &[u8]) -> Result<(), String> {
    let committed = std::fs::read(root().join(FILE)).map_err(|error| format!("{FILE}: {error}"))?;
    if committed == fresh { Ok(()) } else { Err(format!("{FILE} has drifted: run `cargo xtask openapi`")) }
}
