//! Puts the source revision into `--version` and `narthex_build_info`.

use std::process::Command;

fn main() {
    println!("cargo::rerun-if-env-changed=NARTHEX_REVISION");
    // An image is built without the history and is told.
    let told = std::env::var("NARTHEX_REVISION").ok().filter(|r| !r.is_empty());
    let revision = told.or_else(from_git).unwrap_or_else(|| "unknown".to_owned());
    println!("cargo::rustc-env=NARTHEX_REVISION={revision}");
    println!("cargo::rerun-if-changed=../../.git/HEAD");
}

fn from_git() -> Option<String> {
    let output = Command::new("git").args(["rev-parse", "--short=12", "HEAD"]).output().ok()?;
    let text = String::from_utf8(output.stdout).ok().filter(|_| output.status.success())?;
    Some(text.trim().to_owned())
}
