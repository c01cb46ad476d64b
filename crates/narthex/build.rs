//! Puts the source revision into `--version` and `narthex_build_info`.

#![expect(clippy::print_stdout, reason = "how a build script talks to cargo")]

use std::process::Command;

fn main() {
    let revision = Command::new("git")
        .args(["rev-parse", "--short=12", "HEAD"])
        .output()
        .ok()
        .filter(|o| o.status.success())
        .and_then(|o| String::from_utf8(o.stdout).ok())
        .map_or_else(|| "unknown".to_owned(), |text| text.trim().to_owned());
    println!("cargo::rustc-env=NARTHEX_REVISION={revision}");
    println!("cargo::rerun-if-changed=../../.git/HEAD");
}
