use super::super::process::Gone;
use super::*;
use narthex_config::model::{
    Breaker, CatalogueLimits, Credential, Health, HttpVersion, Instances, ProcessLimits, Protocol, Restart,
    Transport, Upstream as Settings,
};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicI64, Ordering};
use tokio::time::timeout;

const SOON: Duration = Duration::from_secs(10);

/// Remembers what it was told.
#[derive(Default)]
struct Told {
    lines: Mutex<Vec<String>>,
    resident: AtomicI64,
}

impl Hooks for Told {
    fn started(&self, upstream: &UpstreamId, again: bool) {
        self.lines.lock().push(format!("{upstream} started {again}"));
    }

    fn ended(&self, upstream: &UpstreamId, reason: Reason) {
        self.lines.lock().push(format!("{upstream} {}", reason.as_str()));
    }

    fn resident(&self, _upstream: &UpstreamId, change: i64) {
        self.resident.fetch_add(change, Ordering::SeqCst);
    }
}

fn settings(script: &str) -> Stdio {
    Stdio {
        program: "sh".into(),
        arguments: vec!["-c".into(), script.into()],
        cwd: None,
        env: [("MODE".to_owned(), "ro".to_owned())].into(),
        instances: Instances::Shared,
        limits: ProcessLimits { memory: 1 << 30, cpu: None, files: NonZeroU32::MIN, message: 1 << 16 },
        restart: Restart { min: Duration::from_millis(500), max: Duration::from_secs(30) },
    }
}

struct Stage {
    told: Arc<Told>,
    children: Arc<Children>,
    upstream: Upstream,
}

impl Stage {
    fn new(stdio: Stdio) -> Self {
        let settings = Settings {
            pins: narthex_config::model::PinMode::Off,
            transport: Transport::Stdio(stdio),
            credential: Credential::None,
            timeout: Duration::from_secs(1),
            connect_timeout: Duration::from_secs(1),
            stream_idle_timeout: Duration::from_secs(1),
            keepalive: Duration::from_secs(1),
            http: HttpVersion::Auto,
            protocol: Protocol::Auto,
            ca: None,
            tls: None,
            max_concurrent: NonZeroU32::MIN,
            breaker: Breaker { failures: NonZeroU32::MIN, cooldown: Duration::from_secs(1) },
            catalogue: CatalogueLimits::default(),
            health: Health::default(),
            allow_link_local: false,
            insecure: false,
        };
        let upstream = Upstream::new("child".into(), &settings, 1, Instant::now()).unwrap();
        let told = Arc::new(Told::default());
        let children = Arc::new(Children::new(Arc::clone(&told) as _));
        Self { told, children, upstream }
    }

    fn start(&self, secrets: &[(&str, &str)]) -> Result<(Process, Messages), StartError> {
        self.children.start(&self.upstream, "owner", secrets, Instant::now())
    }

    async fn told(&self, count: usize) -> Vec<String> {
        let told = async {
            while self.told.lines.lock().len() < count {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(SOON, told).await.unwrap();
        self.told.lines.lock().clone()
    }
}

async fn next(messages: &mut Messages) -> Option<String> {
    let line = timeout(SOON, messages.next()).await.unwrap();
    line.map(|line| String::from_utf8(line.to_vec()).unwrap())
}

/// The processes of this test's children that are left.
fn alive(pid: u32) -> usize {
    Table::read().alive(pid).len()
}

/// Waits until none is left. What is killed may take a moment to give its memory back.
async fn all_gone(pid: u32) {
    let gone = async {
        while alive(pid) > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(Duration::from_secs(2), gone).await.unwrap();
}

#[tokio::test]
async fn what_is_said_comes_back_line_by_line_and_banners_do_not() {
    let stage = Stage::new(settings("echo banner; echo; exec cat"));
    let (process, mut messages) = stage.start(&[]).unwrap();
    process.send("{\"a\":1}").await.unwrap();
    assert!(process.try_send("[2]"));
    assert_eq!(next(&mut messages).await.as_deref(), Some("{\"a\":1}"));
    assert_eq!(next(&mut messages).await.as_deref(), Some("[2]"));
    process.end();
    assert_eq!(next(&mut messages).await, None);
    assert_eq!(stage.told(2).await, ["child started false", "child ended"]);
    assert!(process.is_over());
    assert_eq!(process.send("{}").await, Err(Gone));
}

#[tokio::test]
async fn its_environment_is_what_it_is_to_have_and_nothing_else() {
    let stage = Stage::new(settings("echo \"{$(env | cut -d= -f1 | sort | tr '\\n' ' ')$TOKEN\""));
    let (_process, mut messages) = stage.start(&[("TOKEN", "canary")]).unwrap();
    let said = next(&mut messages).await.unwrap();
    let names: Vec<&str> = said.trim_start_matches('{').split(' ').collect();
    // What the shell makes up itself is none of ours.
    let ours: Vec<_> =
        names.iter().copied().filter(|n| !["PWD", "SHLVL", "_", "OLDPWD", "LANG"].contains(n)).collect();
    assert_eq!(ours, ["HOME", "MODE", "PATH", "TOKEN", "canary"]);
}

#[tokio::test]
async fn a_child_that_keeps_dying_is_started_less_and_less_often() {
    let stage = Stage::new(settings("exit 3"));
    let (_process, mut messages) = stage.start(&[]).unwrap();
    assert_eq!(next(&mut messages).await, None);
    assert_eq!(stage.told(2).await[1], "child exited");
    let refused = stage.start(&[]).unwrap_err();
    assert!(
        matches!(refused, StartError::BackingOff { retry_after } if retry_after <= Duration::from_millis(500))
    );
    // Another's does not have to wait for it.
    assert!(stage.children.start(&stage.upstream, "other", &[], Instant::now()).is_ok());
    let later = Instant::now() + Duration::from_secs(1);
    assert!(stage.children.start(&stage.upstream, "owner", &[], later).is_ok());
    assert!(stage.told(4).await.contains(&"child started true".to_owned()));
    stage.children.forget(&"child".into());
    assert!(stage.start(&[]).is_ok(), "configured anew, it does not wait");
}

#[tokio::test]
async fn a_program_that_is_not_there_is_an_error_and_waits_too() {
    let stage = Stage::new(Stdio { program: "/no/such/program".into(), ..settings("") });
    assert_eq!(stage.start(&[]).unwrap_err(), StartError::Spawn(std::io::ErrorKind::NotFound));
    assert!(matches!(stage.start(&[]).unwrap_err(), StartError::BackingOff { .. }));
    assert_eq!(*stage.told.lines.lock(), ["child not_started"]);
}

#[tokio::test]
async fn a_message_that_is_too_long_ends_the_child() {
    let stage = Stage::new(settings("printf '{'; exec head -c 10000000 /dev/zero"));
    let (process, mut messages) = stage.start(&[]).unwrap();
    assert_eq!(next(&mut messages).await, None);
    assert_eq!(stage.told(2).await[1], "child message");
    assert!(process.is_over());
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_child_that_eats_memory_is_killed_and_its_bytes_are_given_back() {
    let limits = ProcessLimits { memory: 30 << 20, ..settings("").limits };
    // `tail` keeps what has no line feed.
    let stage = Stage::new(Stdio { limits, ..settings("head -c 200000000 /dev/zero | tail; sleep 60") });
    let (process, _messages) = stage.start(&[]).unwrap();
    assert_eq!(stage.told(2).await[1], "child memory");
    assert_eq!(stage.told.resident.load(Ordering::SeqCst), 0);
    all_gone(process.pid()).await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn one_that_will_not_go_is_killed_with_its_own_children() {
    let stage = Stage::new(settings(
        "trap '' TERM; sleep 1000 & sleep 1000 & echo '{}'; while :; do sleep 1000; done",
    ));
    let (process, mut messages) = stage.start(&[]).unwrap();
    assert_eq!(next(&mut messages).await.as_deref(), Some("{}"));
    let pid = process.pid();
    assert!(alive(pid) >= 2);
    drop(process);
    assert_eq!(stage.told(2).await[1], "child ended");
    all_gone(pid).await;
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists(), "no zombie");
}

#[tokio::test]
async fn a_flood_on_stderr_holds_nothing_up() {
    let stage =
        Stage::new(settings("head -c 5000000 /dev/zero | tr '\\0' 'x' >&2; yes >&2 & echo '{}'; exec cat"));
    let (process, mut messages) = stage.start(&[]).unwrap();
    assert_eq!(next(&mut messages).await.as_deref(), Some("{}"));
    process.send("{\"still\":1}").await.unwrap();
    assert_eq!(next(&mut messages).await.as_deref(), Some("{\"still\":1}"));
}
