//! docs/walkthrough.md and docs/bridge.md, as they are written, and the script behind `make run`.

use super::peers::Peer;
use narthex_testkit::free_port;
use narthex_tests::built;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs};
use tempfile::TempDir;

#[tokio::test]
async fn the_walkthrough_shows_what_one_sees() {
    let place = Place::new();
    let blocks = place.blocks(WALKTHROUGH);
    assert!(blocks.len() > 15, "only {} blocks", blocks.len());
    let _demo = place.demo().await;
    let started = blocks.iter().find(|block| block.commands == "make run\n").unwrap();
    assert_eq!(missing(&started.expected, &place.said()), None, "{}", place.said());
    for block in
        blocks.iter().filter(|block| !block.mark.starts_with("not run") && block.mark != started.mark)
    {
        place.follow(block).await;
    }
}

#[tokio::test]
async fn the_page_about_the_bridge_shows_what_one_sees() {
    let place = Place::new();
    let blocks = place.blocks("docs/bridge.md");
    assert!(blocks.len() > 6, "only {} blocks", blocks.len());
    let _demo = place.demo().await;
    for block in blocks {
        place.follow(&block).await;
    }
}

#[tokio::test]
async fn the_configuration_that_the_walkthrough_ends_with_is_one() {
    let place = Place::new();
    let page = place.moved(&repository(WALKTHROUGH));
    let (_, yaml) = page.split_once("```yaml\n").unwrap();
    let config = place.dir.path().join("own.yaml");
    fs::write(&config, yaml.split("```").next().unwrap()).unwrap();
    let mut check = Command::new(built("narthex"));
    let output = check.args(["check", "--no-environment", "--config"]).arg(&config).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
}

#[tokio::test]
async fn ctrl_c_ends_the_demo_and_all_that_it_started() {
    let place = Place::new();
    let mut demo = place.demo().await;
    demo.signal("INT");
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end && !demo.has_ended() {
        tokio::time::sleep(POLL).await;
    }
    assert!(demo.has_ended(), "{}", place.said());
    for port in place.ports {
        TcpListener::bind(("127.0.0.1", port)).unwrap_or_else(|error| panic!("{port}: {error}"));
    }
}

#[tokio::test]
async fn a_port_that_is_taken_is_said_in_so_many_words() {
    let place = Place::new();
    for port in place.ports {
        let _taken = TcpListener::bind(("127.0.0.1", port)).unwrap();
        let output = place.script().output().unwrap();
        let text = text(&output);
        assert!(!output.status.success() && text.contains(&format!("127.0.0.1:{port} is taken")), "{text}");
    }
}

const WALKTHROUGH: &str = "docs/walkthrough.md";
/// The ports that gateway.yaml and the page have.
const PORTS: [u16; 3] = [8080, 9090, 9001];
const PATIENCE: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(50);

/// A directory like that of the repository, but for the ports.
struct Place {
    dir: TempDir,
    ports: [u16; 3],
}

impl Place {
    fn new() -> Self {
        let place = Self { dir: tempfile::tempdir().unwrap(), ports: PORTS.map(|_| free_port()) };
        for dir in ["scripts", "target"] {
            fs::create_dir(place.dir.path().join(dir)).unwrap();
        }
        let binaries = built("narthex").parent().map(Path::to_owned).unwrap();
        assert!(built("narthex-demo").exists());
        std::os::unix::fs::symlink(binaries, place.dir.path().join("target/release")).unwrap();
        fs::write(place.dir.path().join("gateway.yaml"), place.moved(&repository("gateway.yaml"))).unwrap();
        fs::copy(repository("scripts/run-demo.sh"), place.dir.path().join("scripts/run-demo.sh")).unwrap();
        place
    }

    /// A file of the repository with the ports of this place.
    fn moved(&self, file: &Path) -> String {
        let text = fs::read_to_string(file).unwrap();
        PORTS
            .iter()
            .zip(self.ports)
            .fold(text, |text, (from, to)| text.replace(&format!(":{from}"), &format!(":{to}")))
    }

    fn blocks(&self, page: &str) -> Vec<Block> {
        Block::all(&self.moved(&repository(page)))
    }

    fn script(&self) -> Command {
        // From elsewhere, as anybody may.
        let mut script = Command::new(self.dir.path().join("scripts/run-demo.sh"));
        script.current_dir(env::temp_dir());
        script
    }

    /// Starts the demo, and waits until it says what to try.
    async fn demo(&self) -> Peer {
        let said = fs::File::create(self.dir.path().join("said")).unwrap();
        let mut script = self.script();
        script.stdout(said.try_clone().unwrap()).stderr(said);
        let mut demo = Peer::spawn(&mut script, self.ports[0]);
        let end = Instant::now() + PATIENCE;
        while !self.said().contains("Ctrl-C stops it.") {
            assert!(Instant::now() < end && !demo.has_ended(), "{}", self.said());
            tokio::time::sleep(POLL).await;
        }
        demo
    }

    /// What the demo wrote.
    fn said(&self) -> String {
        fs::read_to_string(self.dir.path().join("said")).unwrap_or_default()
    }

    /// Types a block's commands and compares what comes out.
    async fn follow(&self, block: &Block) {
        let end = Instant::now() + PATIENCE;
        loop {
            let output = self.shell(&block.commands);
            let text = text(&output);
            let Some(line) = missing(&block.expected, &text) else { return };
            let soon = block.mark == "soon" && Instant::now() < end;
            assert!(soon, "not seen: {line}\n--- of:\n{}--- but:\n{text}", block.commands);
            tokio::time::sleep(POLL).await;
        }
    }

    /// Runs commands in a shell that remembers what earlier ones have set.
    fn shell(&self, commands: &str) -> Output {
        let script = format!(
            "[ ! -e .shell ] || . ./.shell\n{commands}\n\
             {{ declare -p TOKEN SESSION; declare -f; }} >.shell 2>/dev/null\nsleep 0.1\n"
        );
        let mut bash = Command::new("bash");
        bash.arg("-c").arg(script).current_dir(self.dir.path()).stdin(Stdio::null());
        bash.output().unwrap()
    }
}

/// Commands of the page, and what they print.
struct Block {
    /// What the comment before it says to this test.
    mark: String,
    commands: String,
    expected: String,
}

impl Block {
    fn all(page: &str) -> Vec<Self> {
        let mut blocks = Vec::new();
        for part in page.split("```sh\n").skip(1).zip(page.split("```sh\n")) {
            let (after, before) = part;
            let (commands, after) = after.split_once("```\n").unwrap();
            let mark = before.trim_end().rsplit('\n').next().unwrap_or_default();
            let mark = mark.strip_prefix("<!-- test: ").and_then(|mark| mark.strip_suffix(" -->"));
            let expected = after.trim_start().strip_prefix("```text\n");
            let expected = expected.and_then(|text| text.split_once("```")).map(|(text, _)| text);
            blocks.push(Self {
                mark: mark.unwrap_or_default().to_owned(),
                commands: commands.to_owned(),
                expected: expected.unwrap_or_default().to_owned(),
            });
        }
        blocks
    }
}

/// The first line of `expected` that does not come in `seen`, in its order.
fn missing<'a>(expected: &'a str, seen: &str) -> Option<&'a str> {
    let mut seen = seen.lines();
    expected.lines().find(|line| *line != "…" && !seen.any(|other| is_like(other.trim_end(), line)))
}

/// Whether a line is as expected, where `…` stands for anything.
fn is_like(line: &str, expected: &str) -> bool {
    let Some((start, rest)) = expected.split_once('…') else { return line == expected };
    let (middle, end) = rest.rsplit_once('…').unwrap_or(("", rest));
    let inner = line.strip_prefix(start).and_then(|line| line.strip_suffix(end));
    let Some(mut inner) = inner else { return false };
    middle.split('…').all(|part| match inner.find(part) {
        Some(at) => {
            inner = &inner[at + part.len()..];
            true
        }
        None => false,
    })
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn repository(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(file)
}

#[test]
fn an_ellipsis_stands_for_anything_and_only_for_that() {
    for (line, expected, like) in [
        ("abc", "abc", true),
        ("abc", "ab", false),
        ("abc", "ab…", true),
        ("abc", "…bc", true),
        ("abc", "…b", false),
        ("abc", "a…c", true),
        ("a12c34e", "a…c…e", true),
        ("acbc", "a…c", true),
        ("a12c34e", "a…d…e", false),
    ] {
        assert_eq!(is_like(line, expected), like, "{line} {expected}");
    }
    assert_eq!(missing("a\n…\nc\n", "x\na\nb\nc\n"), None);
    assert_eq!(missing("c\na\n", "a\nb\nc\n"), Some("a"));
}
