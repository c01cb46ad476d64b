//! Who is measured, and how each is started.

use crate::Error;
use crate::client::Client;
use crate::gateway::{self, Addresses, Gateway, Size};
use crate::load::Target;
use crate::process::{Placement, Process};
use crate::tokens::Issuer;
use crate::workload::Workload;
use std::io::Read as _;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// How long a program may take to answer its first call.
const START: Duration = Duration::from_secs(15);
/// Pause between two tries of a first call.
const RETRY: Duration = Duration::from_millis(20);
/// Most bytes of a failed program's error output shown.
const SHOWN: u64 = 2048;

/// One of those measured.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, clap::ValueEnum)]
pub enum Contender {
    /// No proxy at all: what the upstream and the load generator take. Fixed rate only.
    Direct,
    /// `ProxyHttp` with only `upstream_peer`.
    Bare,
    /// The same with mimalloc and without work stealing.
    BareTuned,
    /// Narthex with everything on.
    Narthex,
}

impl Contender {
    /// What the report calls it.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Bare => "bare Pingora",
            Self::BareTuned => "bare Pingora, tuned",
            Self::Narthex => "Narthex",
        }
    }
}

/// What is needed to start a contender.
#[derive(Clone, Debug)]
pub struct Stand {
    /// Where this crate's programs are.
    pub programs: PathBuf,
    /// The narthex program.
    pub narthex: PathBuf,
    /// Where Narthex's output goes.
    pub access_log: PathBuf,
    /// A directory for configuration and error output.
    pub directory: PathBuf,
    /// Which CPUs to use.
    pub placement: Option<Placement>,
    /// How many callers there are.
    pub callers: usize,
    /// The upstream that was started by [`Stand::start_upstream`].
    pub upstream: SocketAddr,
    /// How much Narthex has configured.
    pub size: Size,
}

/// A contender that answers.
#[derive(Debug)]
pub struct Running {
    /// Who it is.
    pub contender: Contender,
    /// Where to call it.
    pub target: Target,
    /// Where instead, for workloads that have an upstream of their own.
    pub bridged: Vec<(Workload, Target)>,
    /// Its process; there is none for [`Contender::Direct`].
    pub process: Option<Process>,
    /// Time from its launch to its first answer.
    pub started: Duration,
    /// Signs tokens that it takes.
    pub issuer: Arc<Issuer>,
}

impl Running {
    /// Where to send `workload`.
    #[must_use]
    pub fn target(&self, workload: Workload) -> &Target {
        self.bridged.iter().find(|(known, _)| *known == workload).map_or(&self.target, |(_, target)| target)
    }
}

impl Stand {
    /// The same with a directory of its own and another size.
    #[must_use]
    pub fn with(&self, directory: PathBuf, size: Size) -> Self {
        Self { directory, size, ..self.clone() }
    }

    /// Starts the upstream on the load generator's CPU.
    ///
    /// # Errors
    /// When it does not answer in time.
    pub async fn start_upstream(&self) -> Result<Process, Error> {
        let cpu = self.placement.map(|placement| placement.load);
        let listen = self.upstream.to_string();
        let program = self.programs.join("bench-upstream");
        let mut process = self.launch(cpu, &program, &["--listen", &listen], Path::new("/dev/null"))?;
        let tokens = Arc::from(["none".to_owned()]);
        self.first_call(&mut process, &self.plain(self.upstream, tokens), &program).await?;
        Ok(process)
    }

    /// Whether `contender`'s program has been built.
    ///
    /// # Errors
    /// [`Error::Start`] with the program's path when not.
    pub fn expect_program(&self, contender: Contender) -> Result<(), Error> {
        self.program(contender).map_or(Ok(()), |program| expect_file(&program))
    }

    /// Starts `contender` and waits until it answers a call.
    ///
    /// # Errors
    /// When its program is missing, ends, or gives no right answer within 15 s.
    pub async fn start(&self, contender: Contender) -> Result<Running, Error> {
        let (listen, admin) = (free_address()?, free_address()?);
        let addresses = Addresses { listen, admin, upstream: self.upstream };
        let gateway = Gateway::write(&self.directory, addresses, self.callers, self.size)?;
        let Some(program) = self.program(contender) else {
            let target = self.plain(self.upstream, gateway.tokens);
            return Ok(Running {
                contender,
                target,
                bridged: Vec::new(),
                process: None,
                started: Duration::ZERO,
                issuer: gateway.issuer,
            });
        };
        let arguments = self.arguments(contender, listen, &gateway.config);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let mut target = self.plain(listen, gateway.tokens);
        let (mut output, mut bridged) = (Path::new("/dev/null"), Vec::new());
        if contender == Contender::Narthex {
            gateway::PATH.clone_into(&mut target.path);
            output = &self.access_log;
            let routes = gateway::BRIDGED.into_iter().zip(gateway.bridged);
            bridged.extend(routes.map(|((workload, path), tokens)| {
                (workload, Target { address: listen, path: path.to_owned(), tokens })
            }));
        }
        let cpu = self.placement.map(|placement| placement.proxy);
        let launched = Instant::now();
        let mut process = self.launch(cpu, &program, &arguments, output)?;
        self.first_call(&mut process, &target, &program).await?;
        let (process, started) = (Some(process), launched.elapsed());
        Ok(Running { contender, target, bridged, process, started, issuer: gateway.issuer })
    }

    fn program(&self, contender: Contender) -> Option<PathBuf> {
        match contender {
            Contender::Direct => None,
            Contender::Bare => Some(self.programs.join("bench-bare")),
            Contender::BareTuned => Some(self.programs.join("bench-bare-tuned")),
            Contender::Narthex => Some(self.narthex.clone()),
        }
    }

    fn arguments(&self, contender: Contender, listen: SocketAddr, config: &Path) -> Vec<String> {
        if contender == Contender::Narthex {
            return ["run", "--config", &config.display().to_string()].map(str::to_owned).to_vec();
        }
        let (listen, upstream) = (listen.to_string(), self.upstream.to_string());
        let mut arguments = ["--listen", &listen, "--upstream", &upstream].map(str::to_owned).to_vec();
        if contender == Contender::BareTuned {
            arguments.push("--no-work-stealing".to_owned());
        }
        arguments
    }

    fn plain(&self, address: SocketAddr, tokens: Arc<[String]>) -> Target {
        Target { address, path: "/mcp".to_owned(), tokens }
    }

    pub(crate) fn launch(
        &self,
        cpu: Option<usize>,
        program: &Path,
        arguments: &[&str],
        output: &Path,
    ) -> Result<Process, Error> {
        expect_file(program)?;
        let launcher = self.programs.join("bench-exec");
        Process::start(&launcher, cpu, program, arguments, output, &self.errors(program))
    }

    /// Calls `target` until it answers rightly.
    async fn first_call(&self, process: &mut Process, target: &Target, program: &Path) -> Result<(), Error> {
        let deadline = Instant::now() + START;
        loop {
            process.expect_running().map_err(|error| self.with_output(&error, program))?;
            match call_once(target).await {
                Ok(()) => return Ok(()),
                Err(error) if Instant::now() > deadline => return Err(self.with_output(&error, program)),
                Err(_) => sleep(RETRY).await,
            }
        }
    }

    fn errors(&self, program: &Path) -> PathBuf {
        let name = program.file_name().unwrap_or_default().to_string_lossy();
        self.directory.join(format!("{name}.stderr"))
    }

    pub(crate) fn with_output(&self, error: &Error, program: &Path) -> Error {
        let mut shown = String::new();
        // What cannot be read cannot be shown; the error itself still is.
        let _ = std::fs::File::open(self.errors(program))
            .and_then(|file| file.take(SHOWN).read_to_string(&mut shown));
        Error::Start(format!("{}: {error}\n{shown}", program.display()))
    }
}

fn expect_file(program: &Path) -> Result<(), Error> {
    if program.is_file() {
        return Ok(());
    }
    Err(Error::Start(format!("there is no {}: build it first", program.display())))
}

async fn call_once(target: &Target) -> Result<(), Error> {
    let host = target.address.to_string();
    let mut request = Workload::Call.request(&target.sender(&host, 0));
    let mut client = Client::connect(target.address).await.map_err(Error::io("connecting"))?;
    let (bytes, id) = request.stamped();
    client.call(bytes).await.map_err(Error::io("a first call"))?.expect_result(&id)
}

/// A loopback address that nobody listened on a moment ago.
///
/// # Errors
/// When there is no free port.
pub fn free_address() -> Result<SocketAddr, Error> {
    TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .map_err(Error::io("looking for a free port"))
}
