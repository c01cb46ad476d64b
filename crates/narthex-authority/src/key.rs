//! The signing key and the file that it is kept in.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use std::fs::{DirBuilder, File};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::{fmt, io};
use zeroize::Zeroizing;

/// An ES256 (ECDSA with P-256 and SHA-256) signing key.
pub(crate) struct Key {
    pkcs8: Zeroizing<Vec<u8>>,
    x: String,
    y: String,
}

impl Key {
    /// The key in `dir`, made there first if there is none.
    pub(crate) fn open(dir: &Path) -> Result<Self, OpenError> {
        make_private_dir(dir)?;
        let path = dir.join(FILE_NAME);
        match read(&path) {
            Err(OpenError::Io { source, .. }) if source.kind() == ErrorKind::NotFound => make(dir, &path),
            found => found,
        }
    }

    /// The key in `dir`; if there is none, one that is kept nowhere.
    pub(crate) fn preview(dir: &Path) -> Result<Self, OpenError> {
        match read(&dir.join(FILE_NAME)) {
            Err(OpenError::Io { source, .. }) if source.kind() == ErrorKind::NotFound => Self::generate(),
            found => found,
        }
    }

    fn generate() -> Result<Self, OpenError> {
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())
            .map_err(|_| OpenError::Generate)?;
        Self::from_pkcs8(Zeroizing::new(document.as_ref().to_vec())).ok_or(OpenError::Generate)
    }

    /// The private key, PKCS#8 DER.
    pub(crate) fn pkcs8(&self) -> &[u8] {
        &self.pkcs8
    }

    /// The x coordinate of the public point, base64url (RFC 7518 §6.2.1.2).
    pub(crate) fn x(&self) -> &str {
        &self.x
    }

    /// The y coordinate of the public point, base64url (RFC 7518 §6.2.1.3).
    pub(crate) fn y(&self) -> &str {
        &self.y
    }

    /// The JWK thumbprint with SHA-256 (RFC 7638 §3): the required members in lexicographic order.
    pub(crate) fn thumbprint(&self) -> String {
        let canonical = format!(r#"{{"crv":"P-256","kty":"EC","x":"{}","y":"{}"}}"#, self.x, self.y);
        BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, canonical.as_bytes()))
    }

    fn from_pkcs8(pkcs8: Zeroizing<Vec<u8>>) -> Option<Self> {
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &pkcs8).ok()?;
        // An uncompressed point: 0x04, x, y (SEC 1 §2.3.3).
        let point = pair.public_key().as_ref();
        let (x, y) = point.strip_prefix(&[4])?.split_at_checked(COORDINATE_LEN)?;
        let (x, y) = (BASE64_URL_SAFE_NO_PAD.encode(x), BASE64_URL_SAFE_NO_PAD.encode(y));
        Some(Self { pkcs8, x, y })
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("kid", &self.thumbprint()).finish_non_exhaustive()
    }
}

/// Why the development issuer's key could not be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The directory or the file could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The directory or file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is there but is not a PKCS#8 PEM P-256 key. It is left alone: replacing it would
    /// silently end every token signed with it.
    #[error("{}: not a PKCS#8 PEM private key on P-256; remove it to have a new one made", .0.display())]
    NotAKey(PathBuf),
    /// Others than the owner may read or write the file.
    #[error("{}: mode {mode:04o} lets others at the signing key; it must be 0600", path.display())]
    TooOpen {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The system's randomness failed while a key was made.
    #[error("no key could be generated")]
    Generate,
}

impl OpenError {
    fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { path: path.to_owned(), source }
    }
}

fn make_private_dir(dir: &Path) -> Result<(), OpenError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(dir);
    made.map_err(OpenError::io(dir))
}

fn read(path: &Path) -> Result<Key, OpenError> {
    let mut file = File::open(path).map_err(OpenError::io(path))?;
    let meta = file.metadata().map_err(OpenError::io(path))?;
    let mode = meta.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(OpenError::TooOpen { path: path.to_owned(), mode });
    }
    if meta.len() > MAX_FILE {
        return Err(OpenError::NotAKey(path.to_owned()));
    }
    let mut pem = Zeroizing::new(Vec::with_capacity(MAX_FILE as usize));
    file.read_to_end(&mut pem).map_err(OpenError::io(path))?;
    parse_pem(&pem).and_then(Key::from_pkcs8).ok_or_else(|| OpenError::NotAKey(path.to_owned()))
}

/// Makes a key and puts it at `path` in one step, so that a reader sees all of it or nothing.
/// Where another process was faster, that one's key is used.
fn make(dir: &Path, path: &Path) -> Result<Key, OpenError> {
    let key = Key::generate()?;
    let pem = Zeroizing::new(to_pem(key.pkcs8()));
    // The builder makes files with mode 0600.
    let mut temporary = tempfile::Builder::new()
        .prefix(".development-issuer")
        .tempfile_in(dir)
        .map_err(OpenError::io(dir))?;
    let written = temporary.write_all(pem.as_bytes()).and_then(|()| temporary.as_file().sync_all());
    written.map_err(OpenError::io(path))?;
    match temporary.persist_noclobber(path) {
        Ok(_) => Ok(key),
        Err(lost) if lost.error.kind() == ErrorKind::AlreadyExists => read(path),
        Err(lost) => Err(OpenError::Io { path: path.to_owned(), source: lost.error }),
    }
}

fn to_pem(pkcs8: &[u8]) -> String {
    let body = Zeroizing::new(BASE64_STANDARD.encode(pkcs8));
    let mut pem = String::with_capacity(body.len() + body.len() / 64 + 64);
    pem.push_str(PEM_BEGIN);
    for (at, letter) in body.chars().enumerate() {
        if at % 64 == 0 {
            pem.push('\n');
        }
        pem.push(letter);
    }
    pem.push('\n');
    pem.push_str(PEM_END);
    pem.push('\n');
    pem
}

fn parse_pem(pem: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let text = std::str::from_utf8(pem).ok()?.trim();
    let body = text.strip_prefix(PEM_BEGIN)?.strip_suffix(PEM_END)?;
    let letters: Zeroizing<Vec<u8>> =
        Zeroizing::new(body.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect());
    BASE64_STANDARD.decode(&*letters).ok().map(Zeroizing::new)
}

const FILE_NAME: &str = "development-issuer.pem";
const PEM_BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
const PEM_END: &str = "-----END PRIVATE KEY-----";
const COORDINATE_LEN: usize = 32;
/// A P-256 key takes some 240 bytes.
const MAX_FILE: u64 = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn the_key_and_its_directory_are_for_the_owner_only() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("state/deeper");
        Key::open(&dir).unwrap();
        assert_eq!(mode(&dir), 0o700);
        assert_eq!(mode(&dir.join(FILE_NAME)), 0o600);
        let files: Vec<_> = std::fs::read_dir(&dir).unwrap().collect();
        assert_eq!(files.len(), 1, "no temporary file is left behind");
    }

    #[test]
    fn a_preview_uses_the_key_that_is_there_and_keeps_none() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("state");
        assert_ne!(Key::preview(&state).unwrap().x(), Key::preview(&state).unwrap().x());
        assert!(!state.exists());
        let kept = Key::open(&state).unwrap();
        assert_eq!(Key::preview(&state).unwrap().x(), kept.x());
        std::fs::write(state.join(FILE_NAME), "x").unwrap();
        assert!(Key::preview(&state).is_err());
    }

    #[test]
    fn a_second_open_gives_the_same_key() {
        let dir = tempfile::tempdir().unwrap();
        let (first, second) = (Key::open(dir.path()).unwrap(), Key::open(dir.path()).unwrap());
        assert_eq!(first.thumbprint(), second.thumbprint());
        assert_eq!(first.pkcs8(), second.pkcs8());
    }

    #[test]
    fn the_process_that_loses_the_race_uses_the_key_of_the_one_that_won() {
        let dir = tempfile::tempdir().unwrap();
        let won = Key::open(dir.path()).unwrap();
        let lost = make(dir.path(), &dir.path().join(FILE_NAME)).unwrap();
        assert_eq!(won.thumbprint(), lost.thumbprint());
    }

    #[test]
    fn a_key_file_open_to_others_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        Key::open(dir.path()).unwrap();
        let path = dir.path().join(FILE_NAME);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(Key::open(dir.path()), Err(OpenError::TooOpen { mode: 0o640, .. })));
    }

    #[test]
    fn a_file_that_is_not_a_key_is_refused_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE_NAME);
        let huge = "A".repeat(1 << 20);
        let not_der = format!("{PEM_BEGIN}\n{}\n{PEM_END}\n", BASE64_STANDARD.encode(b"not der"));
        for content in ["", "nonsense", PEM_BEGIN, &not_der, &huge] {
            std::fs::write(&path, content).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
            assert!(matches!(Key::open(dir.path()), Err(OpenError::NotAKey(_))));
            assert_eq!(std::fs::read_to_string(&path).unwrap(), content);
        }
    }

    #[test]
    fn the_pem_has_lines_of_64_letters_and_reads_back() {
        let pem = to_pem(&[7; 150]);
        assert!(pem.lines().all(|line| line.len() <= 64));
        assert_eq!(*parse_pem(pem.as_bytes()).unwrap(), vec![7; 150]);
    }

    #[test]
    fn neither_debug_nor_errors_show_the_key() {
        let dir = tempfile::tempdir().unwrap();
        let key = Key::open(dir.path()).unwrap();
        let secret = BASE64_STANDARD.encode(key.pkcs8());
        assert!(!format!("{key:?}").contains(&secret[..16]));
    }
}
