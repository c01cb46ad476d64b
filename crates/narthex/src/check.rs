//! `narthex check` and `narthex schema`.

use crate::cli::CheckArgs;
use crate::run::Prepared;
use std::io::Write;
use std::process::ExitCode;

/// Says whether the configuration can be used, and if not, everything that is wrong with it; also what is
/// probably not meant.
pub(crate) fn check(args: &CheckArgs) -> ExitCode {
    let path = &args.config.config;
    let loaded = match narthex_config::load(path) {
        Ok(loaded) => loaded,
        Err(diagnostics) => return complain(&diagnostics.to_string()),
    };
    if !args.no_environment
        && let Err(error) = Prepared::try_out(loaded.config)
    {
        return complain(&format!("error: {error}\n  --> {}\n", path.display()));
    }
    if !loaded.warnings.is_empty() {
        tell(&loaded.warnings.to_string());
    }
    say(&format!("{}: ok\n", path.display()))
}

/// Prints the JSON Schema of the configuration.
pub(crate) fn schema() -> ExitCode {
    say(&narthex_config::json_schema())
}

pub(crate) fn say(text: &str) -> ExitCode {
    match std::io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

pub(crate) fn complain(text: &str) -> ExitCode {
    tell(text);
    ExitCode::FAILURE
}

fn tell(text: &str) {
    // Nobody is there to be told that standard error is closed.
    let _ = std::io::stderr().write_all(text.as_bytes());
}
