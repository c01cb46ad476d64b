//! A file or a text → [`Config`].

use crate::check::{Check, References, check, files_of};
use crate::diagnostic::{Diagnostics, Report};
use crate::fingerprint;
use crate::grammar::Gateway;
use crate::model::Config;
use crate::yaml;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Largest configuration that is read, in bytes.
const MAX_BYTES: u64 = 16 << 20;

/// A configuration as it was read from a file.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What it says.
    pub config: Config,
    /// SHA-256 of the file's bytes, in hex.
    pub fingerprint: String,
    /// The other files that it refers to (certificates, keys, secrets), ready to open, each once.
    pub files: Vec<PathBuf>,
    /// What is probably not meant, though it can be used.
    pub warnings: Diagnostics,
}

/// Reads and checks the configuration at `path`.
///
/// # Errors
/// All that is wrong with it. Also if the file cannot be read, is over 16 MiB or is not UTF-8.
pub fn load(path: &Path) -> Result<Loaded, Diagnostics> {
    let bytes = read(path).map_err(|error| unreadable(path, &error))?;
    let fingerprint = fingerprint::of(&bytes);
    let text = String::from_utf8(bytes).map_err(|error| not_utf8(path, &error))?;
    let (config, warnings) = parse_in(path, &text, std::env::var_os("STATE_DIRECTORY"))?;
    let files = files_of(&config);
    Ok(Loaded { config, fingerprint, files, warnings })
}

/// Checks the configuration `text`. `name` is the file that diagnostics name and against whose directory
/// relative paths are resolved; it is not read.
///
/// # Errors
/// All that is wrong with it.
pub fn parse(name: &Path, text: &str) -> Result<Config, Diagnostics> {
    parse_in(name, text, std::env::var_os("STATE_DIRECTORY")).map(|(config, _)| config)
}

/// [`parse`] with its warnings; `state_directory` is systemd's variable of that name.
fn parse_in(
    name: &Path,
    text: &str,
    state_directory: Option<OsString>,
) -> Result<(Config, Diagnostics), Diagnostics> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.len() as u64 > MAX_BYTES {
        return Err(too_large(name));
    }
    let report = Report::default();
    let dir = name.parent().unwrap_or_else(|| Path::new(""));
    let references = References::default();
    let cx = Check { report: &report, dir, state_dir: state_dir(dir, state_directory), references };
    let config = gateway(text, &report).and_then(|gateway| check(gateway, &cx));
    let failed = report.has_errors();
    let found = report.finish(name, text);
    match config {
        Some(config) if !failed => Ok((config, found)),
        _ if failed => Err(found),
        // Not reached: whatever cannot be built has been reported.
        _ => Err(Diagnostics::of_file(name, "the configuration cannot be used".to_owned(), None)),
    }
}

fn gateway(text: &str, report: &Report) -> Option<Gateway> {
    let node = yaml::parse(text, report)?;
    if node.is_null() {
        let help = "start with `server: { public_url: http://localhost:8080 }`";
        report.error_with_help(node.span(), "the configuration is empty", help);
        return None;
    }
    yaml::read(&node, report)
}

/// systemd may give several directories, separated by colons; the first is ours.
fn state_dir(dir: &Path, state_directory: Option<OsString>) -> PathBuf {
    let given = state_directory.and_then(|dirs| std::env::split_paths(&dirs).next());
    given.filter(|path| path.is_absolute()).unwrap_or_else(|| dir.join(".narthex"))
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    // Of a pipe it says 0.
    let length = file.metadata()?.len().min(MAX_BYTES);
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0) + 1);
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(bytes)
}

fn unreadable(path: &Path, error: &io::Error) -> Diagnostics {
    match error.kind() {
        io::ErrorKind::FileTooLarge => too_large(path),
        io::ErrorKind::NotFound => {
            let help = "name the configuration with `--config gateway.yaml`";
            Diagnostics::of_file(path, "there is no such file".to_owned(), Some(help))
        }
        _ => Diagnostics::of_file(path, format!("this file cannot be read: {error}"), None),
    }
}

fn too_large(path: &Path) -> Diagnostics {
    Diagnostics::of_file(path, "a configuration is at most 16 MiB".to_owned(), None)
}

fn not_utf8(path: &Path, error: &std::string::FromUtf8Error) -> Diagnostics {
    let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
    let line = good.iter().filter(|byte| **byte == b'\n').count() + 1;
    let message = format!("line {line} is not UTF-8");
    Diagnostics::of_file(path, message, Some("save the file as UTF-8"))
}

#[cfg(test)]
mod tests;
