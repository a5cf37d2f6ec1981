//! A folder that the vault writes into: it must be writable, and closed to other users.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

use crate::config::report::Report;

/// Read, write and enter for users who are neither the owner nor of the group.
const OTHERS: u32 = 0o007;

/// Checks without touching anything; a folder that does not exist yet must be creatable.
pub(super) fn check(variable: &str, path: &Path, report: &mut Report) {
    let existing = existing_ancestor(path);
    let is_there = existing == path;
    match std::fs::metadata(&existing) {
        Err(error) => {
            let reason = format!("names a folder that can't be reached ({})", error.kind());
            report.error(variable, reason, "name a folder that this user may enter");
        }
        Ok(metadata) if !metadata.is_dir() => {
            report.error(variable, "names something that is not a folder", "name a folder");
        }
        Ok(metadata) if is_there && metadata.permissions().mode() & OTHERS != 0 => {
            report.error(variable, "names a folder that every user of this machine may enter", "chmod 700 the folder");
        }
        Ok(_) if access(&existing, Access::WRITE_OK | Access::EXEC_OK).is_err() => {
            let reason =
                if is_there { "names a folder that is not writable" } else { "names a folder that can't be made" };
            report.error(variable, reason, "give this user the right to write there");
        }
        Ok(_) => {}
    }
}

fn existing_ancestor(path: &Path) -> PathBuf {
    let found = path.ancestors().find(|ancestor| ancestor.symlink_metadata().is_ok());
    found.map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(path: &Path) -> Option<String> {
        let mut report = Report::default();
        check("X", path, &mut report);
        report.findings.pop().map(|finding| finding.reason)
    }

    fn private_folder() -> tempfile::TempDir {
        tempfile::Builder::new().permissions(std::fs::Permissions::from_mode(0o700)).tempdir().unwrap()
    }

    #[test]
    fn a_private_folder_and_one_to_be_made_pass() {
        let folder = private_folder();
        assert_eq!(reason(folder.path()), None);
        assert_eq!(reason(&folder.path().join("a/b/c")), None);
        assert!(!folder.path().join("a").exists(), "a check leaves nothing behind");
        assert_eq!(reason(Path::new("not-there-yet/store")), None);
    }

    #[test]
    fn what_others_may_enter_or_is_no_folder_is_refused() {
        let folder = private_folder();
        let open = folder.path().join("open");
        std::fs::create_dir(&open).unwrap();
        std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o755)).unwrap();
        assert!(reason(&open).unwrap().contains("every user"));
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert!(reason(&file).unwrap().contains("not a folder"));
        assert!(reason(&file.join("below")).is_some());
    }
}
