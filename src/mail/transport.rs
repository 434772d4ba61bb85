//! Takes one letter to the mail server (or to a folder, or to a test), and says honestly what became of it.
//!
//! SMTP is driven step by step, because "it was never accepted" and "it left us and no answer came" look the same
//! from outside lettre's `send`, and must not be the same in the database (R-INV-9):
//!
//! ```text
//! begin()    connect · EHLO · TLS · login · MAIL · RCPT · DATA → 354     nothing has been accepted whatever happens here
//!            the caller now commits `phase = data`
//! finish()   the letter and its final dot → the server's word            no word: unknown, and never sent again by itself
//! ```
//!
//! lettre limits only the time for connecting (its issue 1027), so every step here stands under a limit of its own.

use std::{
    error::Error as _,
    fmt,
    path::{Path, PathBuf},
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

pub use super::reasons::LONGEST_REASON;
use super::reasons::{clean, in_words, one_line, reason};
use lettre::{
    Address, Message,
    address::Envelope,
    message::{
        Body, Mailbox, MultiPart, SinglePart,
        header::{ContentTransferEncoding, ContentType, HeaderName, HeaderValue},
    },
    transport::smtp::{
        Error as SmtpError,
        authentication::{Credentials, Mechanism},
        client::{AsyncSmtpConnection, Certificate, TlsParameters},
        commands::{Data, Mail, Rcpt},
        extension::{ClientId, Extension, MailBodyParameter, MailParameter},
        response::{Response, Severity},
    },
};
use secrecy::{ExposeSecret as _, SecretString};
use time::OffsetDateTime;
use tokio::time::{Instant, timeout, timeout_at};

/// How long a farewell may take. Nobody waits for the answer to QUIT.
const FAREWELL: Duration = Duration::from_secs(1);
/// How long a kept connection may take to answer NOOP before a new one is made.
const STILL_THERE: Duration = Duration::from_secs(5);

/// Where letters go.
#[derive(Clone, Debug)]
pub enum Transport {
    /// To an SMTP server.
    Smtp(Box<Smtp>),
    /// Into this folder, made when it is not there, one `.eml` file each.
    Folder(PathBuf),
    /// Into memory, for tests.
    Memory(Arc<Mutex<Vec<StoredLetter>>>),
    /// Nowhere: mail is not configured (R-INV-11). Letters should not be queued; one that is anyway is [`Outcome::Misconfigured`].
    None,
}

/// An SMTP server and how to talk to it.
#[derive(Clone)]
pub struct Smtp {
    /// Name or IP address, IPv6 without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// What is encrypted.
    pub security: Security,
    /// User and password.
    pub login: Option<(String, SecretString)>,
    /// A file of certificates (PEM) to trust besides the system's, read at the first connection.
    pub ca: Option<PathBuf>,
}

/// What is encrypted on the way to the server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Security {
    /// Nothing.
    Plain,
    /// All but the greeting. Without STARTTLS on offer nothing is sent.
    StartTls,
    /// All.
    Implicit,
}

impl fmt::Debug for Smtp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Smtp")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("security", &self.security)
            .field("login", &self.login.is_some())
            .finish_non_exhaustive()
    }
}

/// A letter in memory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoredLetter {
    /// The recipient's address.
    pub to: String,
    /// The subject as the recipient reads it.
    pub subject: String,
    /// The plain text part before encoding.
    pub text: String,
    /// The HTML part before encoding.
    pub html: String,
    /// The whole message as it would have gone over the wire, without dot-stuffing.
    pub raw: String,
}

/// What is to be sent. Any text is safe here: control characters are taken out before headers are built.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Letter {
    /// Local part of the `Message-ID`, the same at every attempt (R-INV-10). Characters other than letters, digits, `.`, `_` and `-` become `-`.
    pub id: String,
    /// The `Date` header; outside of 1970 to 9999 the nearest end.
    pub date: OffsetDateTime,
    /// Sender, and where the server returns what it cannot deliver.
    pub from: Party,
    /// Whom an answer goes to, if not the sender. Left out when its address is none.
    pub reply_to: Option<Party>,
    /// Recipient.
    pub to: Party,
    /// Subject line.
    pub subject: String,
    /// Plain text part.
    pub text: String,
    /// HTML part.
    pub html: String,
}

/// A name with an address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Party {
    /// What people see; may be empty.
    pub name: String,
    /// `local@domain`.
    pub address: String,
}

/// What became of a letter. The text is for people: one line without control characters, at most [`LONGEST_REASON`]
/// characters, and nothing in it that could be the token of a link.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The server accepted it, in these words.
    Sent(String),
    /// Nothing was accepted; trying again later may help.
    Temporary(String),
    /// The recipient was refused for good, or the letter was, after it was read (5xx to RCPT or after the body).
    Permanent(String),
    /// It left us whole or in part and no answer came: it may or may not arrive. Do not send it again unasked.
    Unknown(String),
    /// Nothing was accepted, and it is our fault: login, TLS, sender or folder. Worth an alarm; try again later, it says nothing about the recipient.
    Misconfigured(String),
}

impl Outcome {
    /// The text, whichever it is.
    pub fn reason(&self) -> &str {
        match self {
            Self::Sent(text)
            | Self::Temporary(text)
            | Self::Permanent(text)
            | Self::Unknown(text)
            | Self::Misconfigured(text) => text,
        }
    }
}

/// How long things may take. A letter is over after at most twice `conversation` and two seconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// One TCP connection to one of the server's addresses.
    pub connect: Duration,
    /// Everything up to the 354, connecting included; and once more, from the letter to the server's last word.
    pub conversation: Duration,
    /// How long an open connection is kept for the next letter. Servers may close after 5 minutes (RFC 5321 section 4.5.3.2.7), many do sooner.
    pub idle: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            conversation: Duration::from_secs(30),
            idle: Duration::from_secs(20),
        }
    }
}

/// Sends letters one after the other. Owned by the one task that sends, so a connection can be kept without a pool.
pub struct Mailer {
    transport: Transport,
    host: String,
    limits: Limits,
    /// Built once: it reads all the system's certificates.
    tls: Option<TlsParameters>,
    kept: Option<(AsyncSmtpConnection, Instant)>,
}

/// A letter the server has agreed to read. Dropping it sends nothing: the connection is closed in the middle,
/// and a server must not deliver what has no final dot (RFC 5321 section 4.1.1.4).
#[must_use = "nothing is sent until it is finished"]
pub struct Ready<'m>(Step<'m>);

enum Step<'m> {
    Smtp {
        mailer: &'m mut Mailer,
        connection: Box<AsyncSmtpConnection>,
        raw: Vec<u8>,
    },
    Folder {
        folder: &'m Path,
        name: String,
        raw: Vec<u8>,
    },
    Memory {
        letters: &'m Mutex<Vec<StoredLetter>>,
        letter: Box<StoredLetter>,
    },
}

impl Mailer {
    /// Another one for the same server, without a connection.
    pub fn another(&self) -> Self {
        Self {
            transport: self.transport.clone(),
            host: self.host.clone(),
            limits: self.limits,
            tls: self.tls.clone(),
            kept: None,
        }
    }

    /// A mailer that has not connected yet. `public_host` is the host of `PUBLIC_URL`: it names this server in `Message-ID` and EHLO.
    pub fn new(transport: Transport, public_host: &str, limits: Limits) -> Self {
        let host = one_line(public_host);
        Self {
            transport,
            host: if host.is_empty() {
                "localhost".to_owned()
            } else {
                host
            },
            limits,
            tls: None,
            kept: None,
        }
    }

    /// Does everything up to the point of no return. Commit that the letter is about to leave (`phase = data`),
    /// then [`Ready::finish`]. Folder and memory have no such point, and nothing can go wrong here but a bad address.
    ///
    /// # Errors
    /// What became of the letter: `Temporary`, `Permanent` or `Misconfigured`, never `Sent` or `Unknown`.
    pub async fn begin(&mut self, letter: &Letter) -> Result<Ready<'_>, Outcome> {
        let message = message(letter, &self.host)?;
        if let Transport::Smtp(smtp) = &self.transport {
            let smtp = smtp.clone();
            return self.begin_smtp(&smtp, &message).await;
        }
        match &self.transport {
            Transport::Folder(folder) => Ok(Ready(Step::Folder {
                folder,
                name: format!("{}.eml", plain_id(&letter.id)),
                raw: message.formatted(),
            })),
            Transport::Memory(letters) => Ok(Ready(Step::Memory {
                letters,
                letter: Box::new(StoredLetter {
                    to: letter.to.address.clone(),
                    subject: one_line(&letter.subject),
                    text: letter.text.clone(),
                    html: letter.html.clone(),
                    raw: String::from_utf8_lossy(&message.formatted()).into_owned(),
                }),
            })),
            Transport::Smtp(_) | Transport::None => Err(Outcome::Misconfigured(
                "No mail server is configured.".to_owned(),
            )),
        }
    }

    /// [`Mailer::begin`] and [`Ready::finish`] in one, for letters whose fate is not recorded.
    pub async fn send(&mut self, letter: &Letter) -> Outcome {
        match self.begin(letter).await {
            Ok(ready) => ready.finish().await,
            Err(outcome) => outcome,
        }
    }

    /// Says goodbye to the server, if a connection is open. Takes a second at most.
    pub async fn close(&mut self) {
        if let Some((connection, _)) = self.kept.take() {
            farewell(connection).await;
        }
    }

    async fn begin_smtp(&mut self, smtp: &Smtp, message: &Message) -> Result<Ready<'_>, Outcome> {
        let limit = self.limits.conversation;
        let until = Instant::now() + limit;
        let mut connection = match self.kept_connection().await {
            Some(kept) => kept,
            None => timeout_at(until, self.connect(smtp))
                .await
                .unwrap_or_else(|_| {
                    Err(Outcome::Temporary(no_answer(limit, "while connecting")))
                })?,
        };
        let raw = message.formatted();
        let before = async {
            let options = mail_options(&connection, message, &raw)?;
            envelope(&mut connection, message.envelope(), options).await
        };
        match timeout_at(until, before).await {
            Ok(Ok(())) => Ok(Ready(Step::Smtp {
                mailer: self,
                connection: Box::new(connection),
                raw,
            })),
            Ok(Err(outcome)) => {
                farewell(connection).await;
                Err(outcome)
            }
            // dropping the connection closes it
            Err(_) => Err(Outcome::Temporary(no_answer(
                limit,
                "before the letter was sent",
            ))),
        }
    }

    /// The connection of the letter before, if it is fresh and the server still answers.
    async fn kept_connection(&mut self) -> Option<AsyncSmtpConnection> {
        let (mut connection, since) = self.kept.take()?;
        if since.elapsed() >= self.limits.idle {
            farewell(connection).await;
            return None;
        }
        let limit = STILL_THERE.min(self.limits.conversation / 2);
        let answers = timeout(limit, connection.test_connected()).await;
        (answers == Ok(true)).then_some(connection)
    }

    async fn connect(&mut self, smtp: &Smtp) -> Result<AsyncSmtpConnection, Outcome> {
        let tls = match (&self.tls, smtp.security) {
            (_, Security::Plain) => None,
            (Some(tls), _) => Some(tls.clone()),
            (None, _) => {
                let made = tls_parameters(smtp).await.map_err(Outcome::Misconfigured)?;
                Some(self.tls.insert(made).clone())
            }
        };
        let hello = client_id(&self.host);
        let (implicit, start) = match smtp.security {
            Security::Implicit => (tls, None),
            Security::Plain | Security::StartTls => (None, tls),
        };
        let mut connection = AsyncSmtpConnection::connect_tokio1(
            (smtp.host.as_str(), smtp.port),
            Some(self.limits.connect),
            &hello,
            implicit,
            None,
        )
        .await
        .map_err(|e| {
            if smtp.security == Security::Implicit && is_tls_fault(&e) {
                Outcome::Misconfigured(clean(&format!("No TLS with {}: {}", smtp.host, reason(&e))))
            } else {
                not_yet(&e, &format!("No connection to {}", smtp.host))
            }
        })?;
        if let Some(tls) = start {
            connection.starttls(tls, &hello).await.map_err(|e| {
                if e.is_client() || is_tls_fault(&e) {
                    Outcome::Misconfigured(clean(&format!(
                        "No TLS with {}: {}",
                        smtp.host,
                        reason(&e)
                    )))
                } else {
                    not_yet(&e, "STARTTLS")
                }
            })?;
        }
        if let Some((user, password)) = &smtp.login {
            let credentials = Credentials::new(user.clone(), password.expose_secret().to_owned());
            connection
                .auth(&[Mechanism::Plain, Mechanism::Login], &credentials)
                .await
                .map_err(|e| {
                    if e.is_client() {
                        Outcome::Misconfigured(clean(&format!("Login: {}", reason(&e))))
                    } else {
                        not_yet(&e, "Login")
                    }
                })?;
        }
        Ok(connection)
    }
}

impl fmt::Debug for Mailer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailer")
            .field("transport", &self.transport)
            .field("connected", &self.kept.is_some())
            .finish_non_exhaustive()
    }
}

impl Ready<'_> {
    /// Sends the letter and its final dot and waits for the server's word. `Sent` only if the server said so (R-INV-9).
    pub async fn finish(self) -> Outcome {
        match self.0 {
            Step::Smtp {
                mailer,
                mut connection,
                raw,
            } => {
                let limit = mailer.limits.conversation;
                match timeout(limit, connection.message(&raw)).await {
                    Ok(Ok(word)) if word.code().severity == Severity::PositiveCompletion => {
                        mailer.kept = Some((*connection, Instant::now()));
                        Outcome::Sent(in_words(&word))
                    }
                    Ok(Ok(word)) => Outcome::Unknown(clean(&format!(
                        "The letter was sent; the server's answer makes no sense: {}",
                        in_words(&word)
                    ))),
                    Ok(Err(e)) => {
                        let outcome = if e.is_permanent() {
                            Outcome::Permanent(reason(&e))
                        } else if e.is_transient() {
                            Outcome::Temporary(reason(&e))
                        } else {
                            Outcome::Unknown(clean(&format!(
                                "The letter was sent and no answer came: {}",
                                reason(&e)
                            )))
                        };
                        if e.status().is_some() {
                            farewell(*connection).await;
                        }
                        outcome
                    }
                    Err(_) => Outcome::Unknown(no_answer(limit, "after the letter was sent")),
                }
            }
            Step::Folder { folder, name, raw } => {
                let path = folder.join(&name);
                // the name appears when the letter is whole
                let unfinished = folder.join(format!(".{name}.part"));
                let written = async {
                    tokio::fs::create_dir_all(folder).await?;
                    tokio::fs::write(&unfinished, raw).await?;
                    tokio::fs::rename(&unfinished, &path).await
                };
                match written.await {
                    Ok(()) => Outcome::Sent(clean(&format!("Written to {}", path.display()))),
                    Err(e) => Outcome::Misconfigured(clean(&format!(
                        "Cannot write {}: {e}",
                        path.display()
                    ))),
                }
            }
            Step::Memory { letters, letter } => {
                letters
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(*letter);
                Outcome::Sent("Kept in memory".to_owned())
            }
        }
    }
}

/// Parameters of MAIL. lettre's own `send` would see to them; step by step it is ours to do.
fn mail_options(
    connection: &AsyncSmtpConnection,
    message: &Message,
    raw: &[u8],
) -> Result<Vec<MailParameter>, Outcome> {
    let server = connection.server_info();
    let envelope = message.envelope();
    let foreign_to = !envelope.to().iter().all(is_ascii);
    let foreign_from = !envelope.from().is_none_or(is_ascii);
    let mut options = Vec::new();
    if foreign_to || foreign_from {
        if !server.supports_feature(Extension::SmtpUtfEight) {
            let because = "has letters outside of ASCII, and the mail server takes only ASCII (it does not offer SMTPUTF8).";
            return Err(if foreign_to {
                Outcome::Permanent(format!("The address {because}"))
            } else {
                Outcome::Misconfigured(format!("The sender's address {because}"))
            });
        }
        options.push(MailParameter::SmtpUtfEight);
    }
    // bodies are encoded to ASCII; only addresses in headers make a message 8-bit, and SMTPUTF8 brings 8BITMIME (RFC 6531 section 3.1)
    if !raw.is_ascii() {
        options.push(MailParameter::Body(MailBodyParameter::EightBitMime));
    }
    Ok(options)
}

fn no_answer(limit: Duration, when: &str) -> String {
    format!("The mail server did not answer within {limit:?} {when}.")
}

/// MAIL, RCPT, DATA; `Ok` after the 354.
async fn envelope(
    connection: &mut AsyncSmtpConnection,
    envelope: &Envelope,
    options: Vec<MailParameter>,
) -> Result<(), Outcome> {
    let answer = connection
        .command(Mail::new(envelope.from().cloned(), options))
        .await
        .map_err(|e| not_yet(&e, "Sender"))?;
    expect(&answer, Severity::PositiveCompletion)?;
    for to in envelope.to() {
        let answer = connection
            .command(Rcpt::new(to.clone(), Vec::new()))
            .await
            .map_err(|e| {
                if e.is_permanent() {
                    Outcome::Permanent(reason(&e))
                } else {
                    Outcome::Temporary(reason(&e))
                }
            })?;
        expect(&answer, Severity::PositiveCompletion)?;
    }
    let answer = connection
        .command(Data)
        .await
        .map_err(|e| not_yet(&e, "Before the letter"))?;
    // to send a letter after anything but 354 would be to send commands
    expect(&answer, Severity::PositiveIntermediate)
}

/// lettre takes any 2xx and 3xx for yes; an answer that is out of step means that the next one cannot be trusted either.
fn expect(answer: &Response, severity: Severity) -> Result<(), Outcome> {
    if answer.code().severity == severity {
        return Ok(());
    }
    Err(Outcome::Temporary(clean(&format!(
        "The server's answer makes no sense: {}",
        in_words(answer)
    ))))
}

/// A failure that says nothing about the recipient: refused for good is our fault, everything else passes.
fn not_yet(e: &SmtpError, what: &str) -> Outcome {
    let text = clean(&format!("{what}: {}", reason(e)));
    if e.is_permanent() {
        Outcome::Misconfigured(text)
    } else {
        Outcome::Temporary(text)
    }
}

/// Whether a handshake failed over certificates or protocol. rustls's own errors come as `InvalidData`;
/// a connection that broke in the middle of a handshake does not, and may work next time.
fn is_tls_fault(e: &SmtpError) -> bool {
    let mut source = e.source();
    while let Some(inner) = source {
        if inner
            .downcast_ref::<std::io::Error>()
            .is_some_and(|io| io.kind() == std::io::ErrorKind::InvalidData)
        {
            return true;
        }
        source = inner.source();
    }
    e.is_tls()
}

async fn tls_parameters(smtp: &Smtp) -> Result<TlsParameters, String> {
    let mut tls = TlsParameters::builder(smtp.host.clone());
    if let Some(file) = &smtp.ca {
        let failed =
            |e: &dyn fmt::Display| clean(&format!("Certificates in {}: {e}", file.display()));
        let pem = tokio::fs::read(file).await.map_err(|e| failed(&e))?;
        // one file may hold several, lettre reads them all
        tls = tls.add_root_certificate(Certificate::from_pem(&pem).map_err(|e| failed(&e))?);
    }
    tls.build().map_err(|e| clean(&format!("TLS: {e}")))
}

/// QUIT, without waiting long for the answer.
async fn farewell(mut connection: AsyncSmtpConnection) {
    let goodbye = pin!(connection.quit());
    // the letter's fate is already known; how the goodbye went changes nothing
    drop(timeout(FAREWELL, goodbye).await);
}

fn client_id(host: &str) -> ClientId {
    if let Ok(ip) = host.parse() {
        ClientId::Ipv4(ip)
    } else if let Ok(ip) = host.parse() {
        ClientId::Ipv6(ip)
    } else {
        ClientId::Domain(host.to_owned())
    }
}

/// The host as it stands after the @ of a `Message-ID`: an IP address in brackets (RFC 5322 section 3.6.4).
fn id_host(host: &str) -> String {
    client_id(host).to_string()
}

fn plain_id(id: &str) -> String {
    let id: String = id
        .chars()
        .map(|c| match c {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '_' | '-' => c,
            _ => '-',
        })
        .take(100)
        .collect();
    // a name of dots would be a folder
    if id.trim_matches('.').is_empty() {
        "letter".to_owned()
    } else {
        id
    }
}

/// Builds the message. Whatever the letter holds, this does not panic and no text gets out of its header.
fn message(letter: &Letter, host: &str) -> Result<Message, Outcome> {
    let from = mailbox(&letter.from).map_err(|e| {
        Outcome::Misconfigured(clean(&format!("Sender {}: {e}", letter.from.address)))
    })?;
    let to = mailbox(&letter.to).map_err(|e| {
        Outcome::Permanent(clean(&format!(
            "Not an address ({e}): {}",
            letter.to.address
        )))
    })?;
    // RFC 3834 section 5: keeps out-of-office answers away
    let automatic = HeaderValue::new(
        HeaderName::new_from_ascii_str("Auto-Submitted"),
        "auto-generated".to_owned(),
    );
    let mut builder = Message::builder()
        .date(date(letter.date))
        .from(from)
        .to(to)
        .subject(one_line(&letter.subject))
        .message_id(Some(format!(
            "<{}@{}>",
            plain_id(&letter.id),
            id_host(host)
        )))
        .raw_header(automatic);
    if let Some(reply_to) = letter.reply_to.as_ref().and_then(|to| mailbox(to).ok()) {
        builder = builder.reply_to(reply_to);
    }
    // Strings, not bytes: lettre does not stuff dots in byte bodies (RUSTSEC-2026-0561)
    let (text, html): (String, String) = (body(&letter.text), body(&letter.html));
    let parts = MultiPart::alternative()
        .singlepart(part(ContentType::TEXT_PLAIN, text))
        .singlepart(part(ContentType::TEXT_HTML, html));
    builder
        .multipart(parts)
        .map_err(|e| Outcome::Misconfigured(clean(&format!("The letter cannot be built: {e}"))))
}

/// Longest line a body may have, in bytes (RFC 5322 section 2.1.1).
const LONGEST_LINE: usize = 998;

/// A part of the letter. Plain text goes as it is wherever that is allowed: quoted-printable would break a link over two
/// lines for whoever reads the letter's source, as with `MAIL_DIR`.
fn part(kind: ContentType, text: String) -> SinglePart {
    let as_it_is = text.is_ascii() && text.lines().all(|line| line.len() <= LONGEST_LINE);
    let builder = SinglePart::builder().header(kind);
    if as_it_is {
        // lettre itself would only take lines of up to 76 bytes as they are. Every line ends in CRLF: that is what its
        // dot-stuffing looks for.
        let encoded = text.replace('\n', "\r\n").into_bytes();
        let seven_bit = ContentTransferEncoding::SevenBit;
        builder.body(Body::dangerous_pre_encoded(encoded, seven_bit))
    } else {
        builder.body(text)
    }
}

fn mailbox(party: &Party) -> Result<Mailbox, String> {
    let address = &party.address;
    if address.contains(|c: char| c.is_control() || c.is_whitespace()) {
        return Err("it has white space or control characters".to_owned());
    }
    let address: Address = address
        .parse()
        .map_err(|e: lettre::address::AddressError| e.to_string())?;
    let name = one_line(&party.name);
    Ok(Mailbox::new((!name.is_empty()).then_some(name), address))
}

fn is_ascii(address: &Address) -> bool {
    let text: &str = address.as_ref();
    text.is_ascii()
}

/// lettre's date panics outside of these years.
fn date(at: OffsetDateTime) -> SystemTime {
    const LAST: u64 = 253_402_300_799; // 9999-12-31T23:59:59Z
    let seconds = u64::try_from(at.unix_timestamp()).unwrap_or(0).min(LAST);
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

/// One kind of line end, which lettre turns into CRLF, and no other control characters:
/// a lone CR or LF before a dot is how one letter is made to look like two.
fn body(text: &str) -> String {
    text.replace("\r\n", "\n")
        .replace('\r', "\n")
        .replace(|c: char| c.is_control() && !matches!(c, '\n' | '\t'), "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use time::macros::datetime;

    fn letter() -> Letter {
        let party = |name: &str, address: &str| Party {
            name: name.to_owned(),
            address: address.to_owned(),
        };
        Letter {
            id: "0195".to_owned(),
            date: datetime!(2026-03-01 12:00 UTC),
            from: party("Olivia via Roster", "roster@example.test"),
            reply_to: Some(party("Olivia", "olivia@example.test")),
            to: party("", "noor@example.test"),
            subject: "Join Acme".to_owned(),
            text: "Hello".to_owned(),
            html: "<p>Hello</p>".to_owned(),
        }
    }

    fn built(letter: &Letter) -> String {
        match message(letter, "roster.example.test") {
            Ok(message) => String::from_utf8_lossy(&message.formatted()).into_owned(),
            Err(e) => panic!("{e:?}"),
        }
    }

    #[test]
    fn headers() {
        let raw = built(&letter());
        for line in [
            "Date: Sun, 01 Mar 2026 12:00:00 +0000\r\n",
            "From: \"Olivia via Roster\" <roster@example.test>\r\n",
            "Reply-To: Olivia <olivia@example.test>\r\n",
            "To: noor@example.test\r\n",
            "Subject: Join Acme\r\n",
            "Message-ID: <0195@roster.example.test>\r\n",
            "Auto-Submitted: auto-generated\r\n",
            "MIME-Version: 1.0\r\n",
            "Content-Type: multipart/alternative;",
        ] {
            assert!(raw.contains(line), "{line} in {raw}");
        }
        assert_eq!(id_host("127.0.0.1"), "[127.0.0.1]");
        assert_eq!(id_host("::1"), "[IPv6:::1]");
    }

    #[test]
    fn addresses() {
        let mut bad = letter();
        bad.to.address = "noor@example.test\r\nBcc: eve@example.test".to_owned();
        assert!(matches!(message(&bad, "x"), Err(Outcome::Permanent(_))));
        bad = letter();
        bad.from.address = "roster".to_owned();
        assert!(matches!(message(&bad, "x"), Err(Outcome::Misconfigured(_))));
        bad = letter();
        bad.reply_to = Some(Party {
            name: String::new(),
            address: "nobody".to_owned(),
        });
        assert!(!built(&bad).contains("Reply-To"));
    }

    #[test]
    fn ids_are_file_names() {
        assert_eq!(plain_id("../../etc/x y"), "..-..-etc-x-y");
        assert_eq!(plain_id(".."), "letter");
        assert_eq!(plain_id(""), "letter");
    }

    proptest! {
        #[test]
        fn building_never_panics_and_no_text_leaves_its_header(
            texts in prop::collection::vec(any::<String>(), 6),
            controls in "[\\r\\n\\x00\\x7f ,<>\"\\\\=?éX:.]{0,40}",
            seconds in -377_705_116_800i64..253_402_300_800,
        ) {
            let [id, name, subject, text, html, reply] = &texts[..] else { return Ok(()) };
            let mut letter = letter();
            letter.id.push_str(id);
            letter.date = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(letter.date);
            letter.from.name = format!("{name}{controls}\r\nX-Evil: 1");
            letter.to.name = format!("{controls}\nX-Evil: 1\r{name}");
            letter.subject = format!("{subject}\r\nX-Evil: 1{controls}");
            letter.reply_to = Some(Party { name: format!("{reply}{controls}"), address: "a@example.test".to_owned() });
            letter.text = format!("{text}{controls}");
            letter.html.push_str(html);
            let raw = built(&letter);
            let head = raw.split("\r\n\r\n").next().unwrap_or("");
            for line in head.split("\r\n") {
                prop_assert!(!line.starts_with("X-Evil"), "{}", head);
                prop_assert!(!line.contains(['\r', '\n', '\0']), "{:?}", line);
            }
            // every line end is CRLF: nothing that some server could take for a final dot
            prop_assert!(!raw.replace("\r\n", "").contains(['\r', '\n']), "{:?}", raw);
        }
    }
}
