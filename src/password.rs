//! Passwords: how they are kept, checked, and which are refused.
//!
//! Kept as argon2id hashes in the PHC text form, with the parameters in the text, so that they can be raised later.
//! A hash costs 19 MiB for some 20 ms; the number that runs at once is bounded, or 200 sign-ins would take all memory.

use crate::turns::Turns;
use std::{fmt, num::NonZero, sync::Arc, time::Duration};

use argon2::{
    Algorithm, Argon2, Block, Params, Version,
    password_hash::phc::{Output, ParamsString, PasswordHash, Salt},
};
use secrecy::{ExposeSecret as _, SecretString};
use unicode_normalization::UnicodeNormalization as _;

pub use crate::turns::{Busy, Load};

/// Memory per hash in KiB: 19 MiB, the first of the equivalent argon2id settings in OWASP's Password Storage Cheat Sheet.
pub const MEMORY_KIB: u32 = 19 * 1024;
/// Passes over that memory (OWASP, as [`MEMORY_KIB`]).
pub const PASSES: u32 = 2;
/// Lanes (OWASP, as [`MEMORY_KIB`]).
pub const LANES: u32 = 1;
/// Fewest characters (Unicode scalar values) of a new password (NIST SP 800-63B, SECURITY.md).
pub const SHORTEST: usize = 8;
/// Most characters (Unicode scalar values) of a new password: enough for any passphrase, and an end to what is hashed.
pub const LONGEST: usize = 128;

/// How many characters of a long password are judged. zxcvbn's time grows faster than the length: made for the purpose,
/// 100 characters (its own limit) took 0.7 s and 48 took 0.16 s, optimized; an ordinary password takes 1 ms.
const JUDGED: usize = 48;

/// Room for so many blocks is asked for at least, though only what is used takes any memory. Of more than 32 MiB glibc's
/// `malloc` keeps nothing back when it is returned (mallopt(3), `M_MMAP_THRESHOLD`); of 19 MiB it would.
const LEAST_ROOM: usize = 33 * 1024 * 1024 / Block::SIZE;

/// Nobody may choose this password, it is longer than [`LONGEST`]: what [`Hasher::dummy`] is a hash of.
const NOBODYS: [u8; LONGEST + 1] = [b'-'; LONGEST + 1];

/// The hash of [`NOBODYS`] with OWASP's parameters and an empty salt: written down, because making it would take most of
/// the time in which the program starts.
const DUMMY: &str = "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$a4HVjbvh5jA7zEVTs8w9tZPguwCtbmpOaYc8siHdncc";

/// What argon2 fills while it hashes. The same one serves any number of hashes.
#[derive(Default)]
struct Memory(Vec<Block>);

impl Memory {
    /// Enough for these parameters.
    fn sized(&mut self, params: &Params) -> argon2::Result<&mut [Block]> {
        let wanted = params.block_count();
        if self.0.len() < wanted {
            self.0.clear();
            self.0
                .try_reserve_exact(wanted.max(LEAST_ROOM))
                .map_err(|_| argon2::Error::OutOfMemory)?;
            self.0.resize(wanted, Block::default());
        }
        Ok(&mut self.0)
    }
}

/// Makes and checks password hashes. Clones share the turns.
#[derive(Clone)]
pub struct Hasher {
    params: Params,
    dummy: Arc<str>,
    turns: Turns<Memory>,
}

impl Hasher {
    /// Hashes with OWASP's parameters, at most `at_once` at a time (at least one).
    pub fn new(at_once: usize) -> Self {
        Self::with(MEMORY_KIB, PASSES, at_once, |_| DUMMY.into())
    }

    /// The usual number of hashes at a time: half the processors, so that pages are still served, at least one.
    pub fn usual_at_once() -> usize {
        (std::thread::available_parallelism().map_or(1, NonZero::get) / 2).max(1)
    }

    /// Hashes in microseconds, worthless as protection: for tests only.
    pub fn for_tests() -> Self {
        Self::with(Params::MIN_M_COST, Params::MIN_T_COST, 64, dummy)
    }

    /// The same, waiting at most `longest_wait` for a turn instead of the usual time.
    pub fn waiting_at_most(mut self, longest_wait: Duration) -> Self {
        self.turns = self.turns.waiting_at_most(longest_wait);
        self
    }

    #[expect(
        clippy::expect_used,
        reason = "the three numbers are constants of this file and are known to be allowed"
    )]
    fn with(
        memory_kib: u32,
        passes: u32,
        at_once: usize,
        dummy: impl FnOnce(&Params) -> Arc<str>,
    ) -> Self {
        let params =
            Params::new(memory_kib, passes, LANES, None).expect("argon2 allows these parameters");
        Self {
            dummy: dummy(&params),
            params,
            turns: Turns::new(at_once),
        }
    }

    /// The hash of `password` in PHC form, `$argon2id$v=19$m=…`. The salt must be fresh random bytes for each password.
    ///
    /// Blocks for some 20 ms: a request uses [`Hasher::hash_bounded`].
    ///
    /// # Panics
    /// When the machine has not enough memory left for one hash.
    pub fn hash(&self, password: &SecretString, salt: [u8; 16]) -> String {
        self.hash_in(&mut Memory::default(), password, salt)
    }

    fn hash_in(&self, memory: &mut Memory, password: &SecretString, salt: [u8; 16]) -> String {
        hash(memory, &self.params, &canonical(password), &salt)
    }

    /// Whether `phc` is a hash of `password`. Text that is no PHC hash belongs to no password.
    ///
    /// Blocks as long as the parameters in `phc` demand: a request uses [`Hasher::verify_bounded`].
    pub fn verify(&self, password: &SecretString, phc: &str) -> bool {
        verify(&mut Memory::default(), password, phc)
    }

    /// A hash that costs as much to check as a real one, and that no allowed password opens.
    ///
    /// Checked when an address has no account, so that the answer takes equally long (SECURITY.md, enumeration).
    pub fn dummy(&self) -> &str {
        &self.dummy
    }

    /// [`Hasher::hash`] on a thread for heavy work, in turn.
    ///
    /// # Errors
    /// [`Busy`] when no turn came in time ([`crate::turns::LONGEST_WAIT`]).
    pub async fn hash_bounded(
        &self,
        password: SecretString,
        salt: [u8; 16],
    ) -> Result<String, Busy> {
        let hasher = self.clone();
        self.in_turn(move |memory| hasher.hash_in(memory, &password, salt))
            .await
    }

    /// [`Hasher::verify`] on a thread for heavy work, in turn.
    ///
    /// # Errors
    /// [`Busy`] when no turn came in time ([`crate::turns::LONGEST_WAIT`]).
    pub async fn verify_bounded(&self, password: SecretString, phc: String) -> Result<bool, Busy> {
        self.in_turn(move |memory| verify(memory, &password, &phc))
            .await
    }

    /// [`strength`] on a thread for heavy work, in turn: judging a password made to be slow costs more than hashing it.
    ///
    /// # Errors
    /// [`Busy`] when no turn came in time ([`crate::turns::LONGEST_WAIT`]). The judgement is the inner result.
    pub async fn strength_bounded(
        &self,
        password: SecretString,
        inputs: Vec<String>,
    ) -> Result<Result<(), Weak>, Busy> {
        self.in_turn(move |_| {
            let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
            strength(password.expose_secret(), &inputs)
        })
        .await
    }

    /// How busy it is.
    pub fn load(&self) -> Load {
        self.turns.load()
    }

    async fn in_turn<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Memory) -> T + Send + 'static,
    ) -> Result<T, Busy> {
        match self.turns.run(work).await? {
            Ok(value) => Ok(value),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hasher")
            .field("memory_kib", &self.params.m_cost())
            .field("passes", &self.params.t_cost())
            .field("free_turns", &self.turns.free())
            .finish_non_exhaustive()
    }
}

/// The bytes that are hashed: NFC, because one keyboard sends é as one character and another as two (NIST SP 800-63B).
fn canonical(password: &SecretString) -> SecretString {
    password.expose_secret().nfc().collect::<String>().into()
}

/// Either a secret text or plain bytes, as argon2 wants them.
trait ExposeBytes {
    fn expose_bytes(&self) -> &[u8];
}
impl ExposeBytes for SecretString {
    fn expose_bytes(&self) -> &[u8] {
        self.expose_secret().as_bytes()
    }
}
impl<const N: usize> ExposeBytes for [u8; N] {
    fn expose_bytes(&self) -> &[u8] {
        self
    }
}

#[expect(
    clippy::expect_used,
    reason = "length, salt and parameters are all ours; what is left is no memory, where nothing can go on"
)]
fn hash(
    memory: &mut Memory,
    params: &Params,
    password: &impl ExposeBytes,
    salt: &[u8; 16],
) -> String {
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone());
    let mut hash = [0; Params::DEFAULT_OUTPUT_LEN];
    memory
        .sized(params)
        .and_then(|blocks| {
            let password = password.expose_bytes();
            argon2.hash_password_into_with_memory(password, salt, &mut hash, blocks)
        })
        .expect("there is memory for one hash");
    PasswordHash {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(params).expect("the parameters have a text"),
        salt: Some(Salt::new(salt).expect("the salt is of a length that is allowed")),
        hash: Some(Output::new(&hash).expect("the hash is, too")),
    }
    .to_string()
}

/// What [`Hasher::dummy`] is with these parameters.
fn dummy(params: &Params) -> Arc<str> {
    hash(&mut Memory::default(), params, &NOBODYS, &[0; 16]).into()
}

/// Whether a PHC text is a hash of this password.
fn verify(memory: &mut Memory, password: &SecretString, phc: &str) -> bool {
    PasswordHash::new(phc).is_ok_and(|stored| {
        let again = hash_again(memory, password, &stored);
        // in constant time: see `Output`
        again.is_some() && again == stored.hash
    })
}

/// The password's hash with the parameters and the salt of a stored one, not with ours.
fn hash_again(
    memory: &mut Memory,
    password: &SecretString,
    stored: &PasswordHash,
) -> Option<Output> {
    let algorithm = Algorithm::try_from(stored.algorithm.as_str()).ok()?;
    let version = match stored.version {
        Some(version) => Version::try_from(version).ok()?,
        None => Version::default(),
    };
    let params = Params::try_from(stored).ok()?;
    let (salt, mut hash) = (stored.salt?, vec![0; params.output_len()?]);
    let blocks = memory.sized(&params).ok()?;
    Argon2::new(algorithm, version, params)
        .hash_password_into_with_memory(
            canonical(password).expose_bytes(),
            &salt,
            &mut hash,
            blocks,
        )
        .ok()?;
    Output::new(&hash).ok()
}

/// Why a new password is refused. `Display` is a sentence for the person who chose it.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Weak {
    /// Fewer than [`SHORTEST`] characters.
    #[error("Use at least {SHORTEST} characters.")]
    TooShort,
    /// More than [`LONGEST`] characters.
    #[error("Use at most {LONGEST} characters.")]
    TooLong,
    /// Among the first a program would try.
    #[error("This password is too easy to guess. {advice}")]
    Guessable {
        /// One or more sentences that say what makes it guessable and what would help. Holds no part of the password.
        advice: String,
    },
}

/// Whether a new password is good enough: [`SHORTEST`] to [`LONGEST`] characters (Unicode scalar values) and
/// a zxcvbn score of 3 or 4. There are no rules about digits and signs: they make passwords worse.
///
/// `inputs` are words an attacker would try first: the person's name, address, and organization.
/// Only the first 48 characters are judged. Takes up to 0.2 s: a request uses [`Hasher::strength_bounded`].
///
/// # Errors
/// The first reason that applies.
pub fn strength(password: &str, inputs: &[&str]) -> Result<(), Weak> {
    // counted as they are hashed, and no further than needed
    let length = password.nfc().take(LONGEST + 1).count();
    if length < SHORTEST {
        return Err(Weak::TooShort);
    }
    if length > LONGEST {
        return Err(Weak::TooLong);
    }
    let judged: String = password.nfc().take(JUDGED).collect();
    // "mia.meadow@example.test" gives away mia and meadow as well as the whole
    let words: Vec<&str> = inputs
        .iter()
        .flat_map(|input| {
            std::iter::once(*input).chain(
                input
                    .split(|c: char| !c.is_alphanumeric())
                    .filter(|part| part.chars().nth(2).is_some()),
            )
        })
        .collect();
    let judgement = zxcvbn::zxcvbn(&judged, &words);
    if judgement.score() >= zxcvbn::Score::Three {
        return Ok(());
    }
    let sentences: Vec<String> = judgement
        .feedback()
        .into_iter()
        .flat_map(|feedback| {
            feedback
                .warning()
                .map(|warning| warning.to_string())
                .into_iter()
                .chain(feedback.suggestions().iter().map(ToString::to_string))
        })
        .map(|sentence| {
            let sentence = sentence.trim_end_matches('.');
            format!("{sentence}.")
        })
        .collect();
    Err(Weak::Guessable {
        advice: if sentences.is_empty() {
            "Use a few words that do not belong together.".to_owned()
        } else {
            sentences.join(" ")
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> SecretString {
        text.into()
    }

    #[test]
    fn the_dummy_is_what_we_would_make() {
        let hasher = Hasher::new(1);
        assert_eq!(hasher.dummy(), &*dummy(&hasher.params));
    }

    #[test]
    fn a_hash_opens_for_its_password_only() {
        let hasher = Hasher::for_tests();
        let phc = hasher.hash(&secret("Grüße an alle"), [1; 16]);
        assert!(phc.starts_with("$argon2id$v=19$m=8,t=1,p=1$"), "{phc}");
        assert!(hasher.verify(&secret("Grüße an alle"), &phc));
        // the same text as a Mac types it: u and e with combining marks
        assert!(hasher.verify(&secret("Gru\u{308}ße an alle"), &phc));
        assert!(!hasher.verify(&secret("Grüße an Alle"), &phc));
        assert!(!hasher.verify(&secret(""), &phc));
        assert_ne!(phc, hasher.hash(&secret("Grüße an alle"), [2; 16]));
        for garbage in ["", "x", "$argon2id$", "$2b$12$abcdefghijklmnopqrstuv", "\0"] {
            assert!(!hasher.verify(&secret("Grüße an alle"), garbage));
        }
    }

    #[test]
    fn a_hash_is_what_argon2_makes_by_itself_whatever_was_in_its_memory_before() {
        use argon2::password_hash::PasswordHasher as _;
        let theirs = |memory: u32, passes, password: &[u8]| {
            let params = Params::new(memory, passes, LANES, None).expect("allowed");
            Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
                .hash_password_with_salt(password, &[1; 16])
                .expect("a hash")
                .to_string()
        };
        let (hasher, mut memory) = (Hasher::for_tests(), Memory::default());
        let earlier = theirs(64, 3, b"Grandmother's");
        assert!(verify(&mut memory, &secret("Grandmother's"), &earlier));
        let ours = hasher.hash_in(&mut memory, &secret("umbrella"), [1; 16]);
        assert_eq!(ours, theirs(8, 1, b"umbrella"));
        for (password, opens) in [("umbrella", true), ("umbrellas", false)] {
            assert_eq!(verify(&mut memory, &secret(password), &ours), opens);
        }
        assert!(!verify(&mut memory, &secret("umbrella"), &earlier));
    }

    #[test]
    fn the_dummy_costs_the_same_and_opens_for_nobody() {
        let hasher = Hasher::for_tests();
        assert!(!hasher.verify(&secret(&"-".repeat(LONGEST)), hasher.dummy()));
    }

    #[test]
    fn the_real_parameters_are_owasp_s() {
        let hasher = Hasher::new(1);
        assert!(
            hasher
                .dummy()
                .starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{}",
            hasher.dummy()
        );
    }

    #[test]
    fn strength_has_three_answers() {
        let of = |password: &str| strength(password, &["Mia Meadow", "mia@example.test", "Acme"]);
        assert_eq!(of("short 7"), Err(Weak::TooShort));
        assert_eq!(of("ßßßßßßß"), Err(Weak::TooShort), "characters, not bytes");
        assert_eq!(of(&"aB3-".repeat(33)), Err(Weak::TooLong));
        for guessable in [
            "password",
            "Password1",
            "12345678",
            "aaaaaaaaaaaa",
            "miameadow",
            "mia@example.test",
            "Meadow2024",
        ] {
            let refused = of(guessable);
            assert!(
                matches!(&refused, Err(Weak::Guessable { advice }) if advice.ends_with('.') && !advice.contains("..")),
                "{guessable}: {refused:?}"
            );
        }
        for good in [
            "correct horse battery staple",
            "umbrella gravel sonnet",
            "пять сонных кротов",
            "😀🦀🎻🌵🚲🧀🪁🛶🥝🎲🧦",
        ] {
            assert_eq!(of(good), Ok(()), "{good}");
        }
        let longest: String = (0..LONGEST)
            .map(|i| char::from(b'!' + u8::try_from(i * 37 % 90).unwrap_or(0)))
            .collect();
        assert_eq!(of(&longest), Ok(()));
    }

    #[test]
    fn refusals_are_sentences() {
        assert_eq!(Weak::TooShort.to_string(), "Use at least 8 characters.");
        assert_eq!(Weak::TooLong.to_string(), "Use at most 128 characters.");
        let said = strength("password", &[]).map_err(|w| w.to_string());
        assert!(said.is_err_and(|s| s.starts_with("This password is too easy to guess. ")),);
    }

    fn run<T>(work: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .expect("a runtime")
            .block_on(work)
    }

    #[test]
    fn who_waits_too_long_for_a_turn_is_told_so() {
        run(async {
            let hasher = Hasher::with(8, 1, 1, dummy).waiting_at_most(Duration::from_millis(50));
            let (go, wait) = std::sync::mpsc::channel::<()>();
            let other = hasher.clone();
            let slow = tokio::spawn(async move { other.in_turn(move |_| wait.recv()).await });
            while hasher.turns.free() > 0 {
                tokio::task::yield_now().await;
            }
            let dummy = hasher.dummy().to_owned();
            assert_eq!(hasher.verify_bounded(secret("x"), dummy).await, Err(Busy));
            assert_eq!(hasher.hash_bounded(secret("x"), [0; 16]).await, Err(Busy));
            let busy = Load {
                turns: 1,
                in_use: 1,
                waits: 2,
                timeouts: 2,
            };
            assert_eq!(hasher.load(), busy);
            go.send(()).expect("still working");
            slow.await.expect("it ends").expect("a turn").expect("told");
            let phc = hasher
                .hash_bounded(secret("x"), [0; 16])
                .await
                .expect("a turn");
            assert_eq!(hasher.verify_bounded(secret("x"), phc).await, Ok(true));
            assert_eq!(
                hasher
                    .strength_bounded(secret("short"), vec!["Mia".to_owned()])
                    .await,
                Ok(Err(Weak::TooShort))
            );
        });
    }
}
