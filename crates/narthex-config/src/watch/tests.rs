use super::*;
use std::os::unix::fs::symlink;
use std::sync::mpsc::Receiver;
use tempfile::TempDir;

/// Far longer than a change takes to be noticed (0.1 s, and 0.6 s in a storm of events), for the sake of busy
/// machines; and far shorter than the poll, which would notice it, too.
const SOON: Duration = Duration::from_secs(4);

/// Long enough for the look that a change in the directory causes, and then some.
const QUIET: Duration = Duration::from_millis(600);

struct Watched {
    dir: TempDir,
    watcher: Watcher,
    fired: Receiver<()>,
}

impl Watched {
    /// Watches `gateway.yaml` and `files` in a directory made by `prepare`.
    fn new(prepare: impl Fn(&Path), files: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        prepare(dir.path());
        let (sender, fired) = channel();
        let path = dir.path().join("gateway.yaml");
        let files: Vec<PathBuf> = files.iter().map(|file| dir.path().join(file)).collect();
        let fingerprint = content(&path).unwrap();
        let watcher = watch(&path, &fingerprint, &files, move || sender.send(()).unwrap()).unwrap();
        Self { dir, watcher, fired }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn fires(&self) {
        self.fired.recv_timeout(SOON).expect("no change was noticed");
    }

    fn stays_quiet(&self) {
        assert!(self.fired.recv_timeout(QUIET).is_err(), "a change was noticed where there was none");
    }
}

fn write(path: impl AsRef<Path>, text: &str) {
    fs::write(path, text).unwrap();
}

fn plain(dir: &Path) {
    write(dir.join("gateway.yaml"), "one");
    write(dir.join("secret"), "one");
}

#[test]
fn a_write_in_place_is_noticed_each_time() {
    let watched = Watched::new(plain, &[]);
    for text in ["two", "three"] {
        write(watched.path("gateway.yaml"), text);
        watched.fires();
        watched.stays_quiet();
    }
}

#[test]
fn a_file_renamed_over_the_old_one_is_noticed_each_time() {
    let watched = Watched::new(plain, &[]);
    for text in ["two", "three"] {
        write(watched.path(".gateway.yaml.swp"), text);
        fs::rename(watched.path(".gateway.yaml.swp"), watched.path("gateway.yaml")).unwrap();
        watched.fires();
        watched.stays_quiet();
    }
}

#[test]
fn a_file_removed_and_written_anew_is_noticed() {
    let watched = Watched::new(plain, &[]);
    fs::remove_file(watched.path("gateway.yaml")).unwrap();
    watched.fires();
    write(watched.path("gateway.yaml"), "two");
    watched.fires();
}

#[test]
fn a_swap_of_kubernetes_data_link_is_noticed_each_time() {
    let watched = Watched::new(
        |dir| {
            fs::create_dir(dir.join("..1")).unwrap();
            write(dir.join("..1/gateway.yaml"), "one");
            symlink("..1", dir.join("..data")).unwrap();
            symlink("..data/gateway.yaml", dir.join("gateway.yaml")).unwrap();
        },
        &[],
    );
    for n in 2..=3 {
        let dir = format!("..{n}");
        fs::create_dir(watched.path(&dir)).unwrap();
        write(watched.path(&dir).join("gateway.yaml"), &dir);
        symlink(&dir, watched.path("..data_tmp")).unwrap();
        fs::rename(watched.path("..data_tmp"), watched.path("..data")).unwrap();
        fs::remove_dir_all(watched.path(&format!("..{}", n - 1))).unwrap();
        watched.fires();
        watched.stays_quiet();
    }
}

#[test]
fn a_write_to_the_target_of_a_link_is_noticed() {
    let target = tempfile::tempdir().unwrap();
    let file = target.path().join("real.yaml");
    write(&file, "one");
    let watched = Watched::new(|dir| symlink(&file, dir.join("gateway.yaml")).unwrap(), &[]);
    write(&file, "two");
    watched.fires();
}

#[test]
fn an_unrelated_file_beside_it_is_not_a_change() {
    let watched = Watched::new(plain, &[]);
    write(watched.path("other.yaml"), "x");
    write(watched.path("secret"), "two");
    watched.stays_quiet();
}

#[test]
fn writing_the_same_content_again_is_not_a_change() {
    let watched = Watched::new(plain, &["secret"]);
    write(watched.path("gateway.yaml"), "one");
    write(watched.path("secret"), "one");
    watched.stays_quiet();
}

#[test]
fn a_change_of_a_file_that_is_referred_to_is_noticed() {
    let watched = Watched::new(plain, &["secret", "made/later"]);
    write(watched.path("secret"), "two");
    watched.fires();
    fs::create_dir(watched.path("made")).unwrap();
    write(watched.path("made/later"), "one");
    watched.fires();
    watched.stays_quiet();
    write(watched.path("made/later"), "two");
    watched.fires();
}

#[test]
fn files_can_be_added_after_a_reload() {
    let watched = Watched::new(plain, &[]);
    let fingerprint = content(&watched.path("gateway.yaml")).unwrap();
    watched.watcher.set_files(&fingerprint, &[watched.path("secret")]);
    watched.stays_quiet();
    write(watched.path("secret"), "two");
    watched.fires();
    watched.watcher.set_files(&fingerprint, &[]);
    write(watched.path("secret"), "three");
    watched.stays_quiet();
}

#[test]
fn a_change_between_loading_and_watching_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    plain(dir.path());
    let (sender, fired) = channel();
    let stale = fingerprint::of(b"zero");
    let path = dir.path().join("gateway.yaml");
    let _watcher = watch(&path, &stale, &[], move || sender.send(()).unwrap()).unwrap();
    fired.recv_timeout(SOON).unwrap();
}

#[test]
fn a_burst_of_writes_is_one_change() {
    let watched = Watched::new(plain, &[]);
    for n in 0..20 {
        write(watched.path("gateway.yaml"), &n.to_string());
    }
    watched.fires();
    watched.stays_quiet();
}

#[test]
fn a_dropped_watcher_calls_no_more() {
    let Watched { dir, watcher, fired } = Watched::new(plain, &[]);
    drop(watcher);
    // The thread drops its sender when it ends.
    assert_eq!(fired.recv_timeout(SOON), Err(RecvTimeoutError::Disconnected));
    drop(dir);
}
