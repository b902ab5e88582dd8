//! Sealing: authenticated encryption of what must not stand in a database in clear.

use std::fmt;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::error::Unspecified;
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};
use secrecy::{ExposeSecret, SecretBox};
use thiserror::Error;

#[cfg(test)]
mod tests;

/// The length of a key in bytes.
const KEY_LEN: usize = 32;

/// A key that seals texts and makes digests. It never prints itself. A nonce is random, so one key seals up to 2^32
/// texts.
pub struct SealingKey {
    secret: SecretBox<[u8; KEY_LEN]>,
    seals: LessSafeKey,
    digests: hmac::Key,
}

/// The error of sealing: the system has no random numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the system gives no random numbers")]
pub struct SealError;

/// The error of reading a key file.
#[derive(Debug, Error)]
pub enum KeyFileError {
    /// The file cannot be read or made.
    #[error("cannot read the key file {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The file holds something else.
    #[error("the key file {} must hold 64 hexadecimal digits, such as `openssl rand -hex 32` prints", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
    },
    /// A new key could not be made.
    #[error(transparent)]
    Seal(#[from] SealError),
}

impl SealingKey {
    /// A new random key.
    pub fn generate() -> Result<Self, SealError> {
        let mut secret = [0; KEY_LEN];
        SystemRandom::new().fill(&mut secret)?;
        Self::of(secret)
    }

    /// The key of a secret. Seals and digests have keys of their own, derived from it.
    fn of(secret: [u8; KEY_LEN]) -> Result<Self, SealError> {
        let parent = hmac::Key::new(hmac::HMAC_SHA256, &secret);
        let derive = |purpose: &str| hmac::sign(&parent, purpose.as_bytes());
        let seals = UnboundKey::new(&AES_256_GCM, derive("seal").as_ref())?;
        let digests = hmac::Key::new(hmac::HMAC_SHA256, derive("digest").as_ref());
        Ok(Self { secret: SecretBox::new(Box::new(secret)), seals: LessSafeKey::new(seals), digests })
    }

    /// Reads the key in a file of 64 hexadecimal digits.
    pub fn read(path: &Path) -> Result<Self, KeyFileError> {
        let text =
            std::fs::read_to_string(path).map_err(|source| KeyFileError::File { path: path.to_owned(), source })?;
        let mut secret = [0; KEY_LEN];
        hex::decode_to_slice(text.trim(), &mut secret)
            .map_err(|_| KeyFileError::Malformed { path: path.to_owned() })?;
        Ok(Self::of(secret)?)
    }

    /// Reads the key in a file, or makes the file with a new key, which only its owner may read.
    pub fn read_or_create(path: &Path) -> Result<Self, KeyFileError> {
        let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        let fail = |source| KeyFileError::File { path: path.to_owned(), source };
        match made {
            Ok(mut file) => {
                let key = Self::generate()?;
                writeln!(file, "{}", hex::encode(key.secret.expose_secret())).map_err(fail)?;
                file.sync_all().map_err(fail)?;
                Ok(key)
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Self::read(path),
            Err(error) => Err(fail(error)),
        }
    }

    /// Seals a text for a place. It opens nowhere else.
    pub fn seal(&self, place: &str, text: &[u8]) -> Result<Vec<u8>, SealError> {
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce)?;
        let mut sealed = text.to_owned();
        let place = Aad::from(place.as_bytes());
        self.seals.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), place, &mut sealed)?;
        Ok([&nonce, sealed.as_slice()].concat())
    }

    /// Opens what was sealed for a place. `None` if it was not sealed with this key for this place.
    pub fn open(&self, place: &str, sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, text) = sealed.split_first_chunk::<NONCE_LEN>()?;
        let mut text = text.to_owned();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let opened = self.seals.open_in_place(nonce, Aad::from(place.as_bytes()), &mut text).ok()?.len();
        text.truncate(opened);
        Some(text)
    }

    /// A digest of parts, which tells nothing to those who lack the key.
    pub fn digest(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut digest = hmac::Context::with_key(&self.digests);
        for part in parts {
            digest.update(&(part.len() as u64).to_be_bytes());
            digest.update(part);
        }
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest.sign().as_ref());
        bytes
    }

    /// The secret of another key, sealed for a place.
    pub fn wrap(&self, place: &str, other: &Self) -> Result<Vec<u8>, SealError> {
        self.seal(place, other.secret())
    }

    /// The key that was wrapped for a place. `None` if it was not wrapped with this key for this place.
    pub fn unwrap(&self, place: &str, wrapped: &[u8]) -> Option<Self> {
        Self::from_secret(&self.open(place, wrapped)?)
    }

    /// Its secret, to be kept.
    pub fn secret(&self) -> &[u8] {
        self.secret.expose_secret()
    }

    /// The key of a secret that was kept. `None` if it is no secret of a key.
    pub fn from_secret(secret: &[u8]) -> Option<Self> {
        Self::of(secret.try_into().ok()?).ok()
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealingKey")
    }
}

impl From<Unspecified> for SealError {
    fn from(Unspecified: Unspecified) -> Self {
        Self
    }
}
