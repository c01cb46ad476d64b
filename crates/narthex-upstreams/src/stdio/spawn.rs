//! How a child process is started.

use narthex_config::model::Stdio;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Stdio as Pipe;
use std::time::Duration;
use tokio::process::Command;
use zeroize::Zeroizing;

/// What a child inherits of the gateway's environment, if it is set.
const INHERITED: [&str; 3] = ["PATH", "HOME", "LANG"];

/// The program that stands between the gateway and its children: one whose subcommand
/// `stdio-exec` runs [`super::keeper`].
#[derive(Clone, Debug)]
pub struct Keeper {
    /// The program.
    pub program: PathBuf,
}

#[cfg(target_os = "linux")]
impl Keeper {
    /// The program that is running, even if its file has been replaced since.
    #[must_use]
    pub fn this_program() -> Self {
        Self { program: "/proc/self/exe".into() }
    }
}

/// Why there is no child process. `Display` holds nothing but what the configuration says.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The last one ended too short a while ago.
    #[error("waiting before the next start")]
    BackingOff {
        /// How long it will not be tried.
        retry_after: Duration,
    },
    /// The system does not start it.
    #[error("cannot be started: {0}")]
    Spawn(std::io::ErrorKind),
    /// The upstream is none that is started.
    #[error("not a child process")]
    NotStdio,
}

/// The command that starts `settings`. `secrets` come after what the configuration says, by name.
pub(super) fn command(
    settings: &Stdio,
    secrets: &[(&str, &str)],
    keeper: Option<&Keeper>,
    gateway: impl Fn(&str) -> Option<OsString>,
) -> Command {
    let mut command = match keeper {
        Some(keeper) => kept(settings, keeper),
        None => Command::new(&settings.program),
    };
    command.args(&settings.arguments).env_clear();
    command.envs(environment(settings, gateway)).envs(secrets.iter().copied());
    if let Some(cwd) = &settings.cwd {
        command.current_dir(cwd);
    }
    command.stdin(Pipe::piped()).stdout(Pipe::piped()).stderr(Pipe::piped());
    command.process_group(0).kill_on_drop(true);
    command
}

/// The keeper's command line, up to the child's arguments. It is world-readable: no secret stands in it.
fn kept(settings: &Stdio, keeper: &Keeper) -> Command {
    let mut command = Command::new(&keeper.program);
    command.arg(SUBCOMMAND).arg("--files").arg(settings.limits.files.to_string());
    if let Some(cpu) = settings.limits.cpu {
        // Part of a second counts as one.
        let seconds = cpu.as_secs() + u64::from(cpu.subsec_nanos() > 0);
        command.arg("--cpu").arg(seconds.max(1).to_string());
    }
    command.arg("--").arg(&settings.program);
    command
}

/// The subcommand by which a keeper is run.
pub(super) const SUBCOMMAND: &str = "stdio-exec";

fn environment(settings: &Stdio, gateway: impl Fn(&str) -> Option<OsString>) -> BTreeMap<OsString, OsString> {
    let inherited = INHERITED.iter().filter_map(|name| Some((OsString::from(name), gateway(name)?)));
    let said = settings.env.iter().map(|(name, value)| (name.into(), value.into()));
    inherited.chain(said).collect()
}

/// What of the secrets is not to be logged: each of their lines, as a log has lines, too.
pub(super) fn unloggable(secrets: &[(&str, &str)]) -> Vec<Zeroizing<String>> {
    secrets.iter().flat_map(|(_, value)| value.lines()).map(|line| Zeroizing::new(line.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use narthex_config::model::{Instances, ProcessLimits, Restart};
    use std::num::NonZeroU32;

    fn settings() -> Stdio {
        Stdio {
            program: "server".into(),
            arguments: vec!["--root".into(), "/srv".into()],
            cwd: Some("/srv".into()),
            env: BTreeMap::from([("MODE".into(), "ro".into()), ("LANG".into(), "C".into())]),
            instances: Instances::Shared,
            limits: ProcessLimits {
                memory: 1 << 30,
                cpu: Some(Duration::from_millis(1500)),
                files: NonZeroU32::MIN,
                message: 1 << 20,
            },
            restart: Restart { min: Duration::from_millis(500), max: Duration::from_secs(30) },
        }
    }

    fn gateway(name: &str) -> Option<OsString> {
        // All that is asked for is there, and more would be.
        Some(format!("gateway-{name}").into())
    }

    #[test]
    fn a_child_inherits_nothing_but_where_programs_and_home_are() {
        let command = command(&settings(), &[("TOKEN", "canary")], None, gateway);
        let command = command.as_std();
        let env: Vec<String> = command
            .get_envs()
            .map(|(name, value)| format!("{}={}", name.display(), value.unwrap().display()))
            .collect();
        assert_eq!(env, ["HOME=gateway-HOME", "LANG=C", "MODE=ro", "PATH=gateway-PATH", "TOKEN=canary"]);
        assert_eq!(command.get_current_dir().unwrap().to_str(), Some("/srv"));
    }

    #[test]
    fn a_keeper_is_told_the_limits_and_no_secret() {
        let keeper = Keeper { program: "/bin/narthex".into() };
        let command = command(&settings(), &[("TOKEN", "canary")], Some(&keeper), gateway);
        let command = command.as_std();
        let args: Vec<_> = command.get_args().map(|arg| arg.to_str().unwrap()).collect();
        assert_eq!(args, ["stdio-exec", "--files", "1", "--cpu", "2", "--", "server", "--root", "/srv"]);
        assert_eq!(command.get_program(), "/bin/narthex");
    }

    #[test]
    fn every_line_of_a_secret_is_kept_out_of_the_log() {
        let lines = unloggable(&[("KEY", "-----BEGIN\nabc\n"), ("T", "x")]);
        assert_eq!(lines.iter().map(|line| line.as_str()).collect::<Vec<_>>(), ["-----BEGIN", "abc", "x"]);
    }
}
