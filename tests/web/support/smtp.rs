//! A mail server that can be told to misbehave, at every point of the conversation.
//!
//! Threads and blocking sockets only, so that it works the same under any runtime. Every reply leaves in one write with
//! `TCP_NODELAY`: in two, each step of a conversation would take 40 ms.
//!
//! ```ignore
//! let server = SmtpServer::start();
//! server.once(Phase::Rcpt, Act::reply(451, "4.2.1 try later"));   // the next RCPT only
//! server.always(Phase::Body, Act::Drop);                          // from now on
//! …
//! let letters = server.wait_for(1);
//! assert!(letters[0].text().contains("/accept-invitation/"));
//! ```

use std::{
    collections::{HashMap, VecDeque},
    io::{BufRead as _, BufReader, Write as _},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};

/// How long a hanging server hangs, if nobody stops it: then it closes the connection, so that no test hangs with it.
const LONGEST_HANG: Duration = Duration::from_secs(30);
/// How long [`SmtpServer::wait_for`] waits.
const PATIENCE: Duration = Duration::from_secs(10);

/// A point of the conversation at which the server speaks.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Phase {
    /// The connection was made.
    Greeting,
    /// EHLO or HELO.
    Ehlo,
    /// The end of AUTH.
    Auth,
    /// MAIL FROM.
    Mail,
    /// RCPT TO, each.
    Rcpt,
    /// DATA, before the letter.
    Data,
    /// The letter and its final dot were read.
    Body,
    /// NOOP, with which a kept connection is tried.
    Noop,
    /// QUIT. The connection ends either way.
    Quit,
}

/// What it does there instead of what it should.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Act {
    /// Answers with this code and text. After the body, 2xx keeps the letter and anything else throws it away.
    Reply(u16, String),
    /// Says nothing and keeps the connection open, for 30 seconds at most. After the body it has kept the letter.
    Hang,
    /// Closes the connection. After the body it has kept the letter.
    Drop,
    /// Closes the connection; after the body it has thrown the letter away.
    Lose,
    /// Says something that is no SMTP. After the body it has kept the letter.
    Garbage,
    /// Waits, then does as it should.
    Slow(Duration),
}

impl Act {
    /// [`Act::Reply`].
    pub fn reply(code: u16, text: &str) -> Self {
        Self::Reply(code, text.to_owned())
    }
}

/// A letter the server took (or took and then lost its tongue).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Received {
    /// From MAIL.
    pub from: String,
    /// From RCPT.
    pub to: Vec<String>,
    /// Headers and body, dots unstuffed, lines ending in CRLF.
    pub data: String,
}

/// Decides anew at every phase; `None` is good behaviour.
type Mood = Box<dyn FnMut(Phase) -> Option<Act> + Send>;

/// The server. Dropping it closes everything.
pub struct SmtpServer {
    shared: Arc<Shared>,
    address: SocketAddr,
    listening: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    once: HashMap<Phase, VecDeque<Act>>,
    always: HashMap<Phase, Act>,
    refused: HashMap<String, Act>,
    mood: Option<Mood>,
    offers: Vec<String>,
    received: Vec<Received>,
    offered: Vec<Received>,
    commands: Vec<String>,
    connections: usize,
    open: Vec<TcpStream>,
    down: bool,
}

impl SmtpServer {
    /// Listens on a free port of 127.0.0.1, offering 8BITMIME and AUTH PLAIN LOGIN (any password will do).
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                offers: vec!["8BITMIME".to_owned(), "AUTH PLAIN LOGIN".to_owned()],
                ..State::default()
            }),
            changed: Condvar::new(),
        });
        let listening = listen(listener, Arc::clone(&shared));
        Self {
            shared,
            address,
            listening: Mutex::new(Some(listening)),
        }
    }

    /// The port, the same after [`Self::down`] and [`Self::up`].
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// For `SMTP_URL`.
    pub fn url(&self) -> String {
        format!("smtp://{}", self.address)
    }

    /// Misbehaves the next time it comes to `phase`. Several for one phase are taken in turn, before what [`Self::always`] says.
    pub fn once(&self, phase: Phase, act: Act) {
        self.state().once.entry(phase).or_default().push_back(act);
    }

    /// Misbehaves at `phase` from now on, on connections already open too.
    pub fn always(&self, phase: Phase, act: Act) {
        self.state().always.insert(phase, act);
    }

    /// Misbehaves at DATA from now on, for letters to this address only.
    pub fn refuse(&self, to: &str, act: Act) {
        self.state().refused.insert(to.to_owned(), act);
    }

    /// Asks `mood` at every phase from now on, where neither [`Self::once`] nor [`Self::always`] says anything.
    pub fn moody(&self, mood: impl FnMut(Phase) -> Option<Act> + Send + 'static) {
        self.state().mood = Some(Box::new(mood));
    }

    /// Behaves again, from now on. What hangs goes on hanging.
    pub fn behave(&self) {
        let mut state = self.state();
        state.mood = None;
        state.once.clear();
        state.always.clear();
        state.refused.clear();
    }

    /// Offers one more extension from the next EHLO on, like `SMTPUTF8`.
    pub fn offer(&self, extension: &str) {
        self.state().offers.push(extension.to_owned());
    }

    /// Stops listening and closes every connection: connecting is refused until [`Self::up`].
    pub fn down(&self) {
        {
            let mut state = self.state();
            state.down = true;
            for stream in state.open.drain(..) {
                let _ = stream.shutdown(Shutdown::Both);
            }
        }
        self.shared.changed.notify_all();
        let listening = self
            .listening
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(listening) = listening {
            // wakes the accepting thread, which then sees that it is over
            let _ = TcpStream::connect(self.address);
            let _ = listening.join();
        }
    }

    /// Listens again on the same port.
    pub fn up(&self) {
        let mut listening = self
            .listening
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if listening.is_none() {
            let listener = TcpListener::bind(self.address).expect("the same port again");
            self.state().down = false;
            *listening = Some(listen(listener, Arc::clone(&self.shared)));
        }
    }

    /// Every letter so far, in the order of their arrival.
    pub fn received(&self) -> Vec<Received> {
        self.state().received.clone()
    }

    /// The newest letter to this address.
    pub fn last_to(&self, email: &str) -> Option<Received> {
        let state = self.state();
        let mut letters = state.received.iter().rev();
        letters
            .find(|letter| letter.to.iter().any(|to| to == email))
            .cloned()
    }

    /// Every letter that was read to its final dot, kept or not.
    pub fn offered(&self) -> Vec<Received> {
        self.state().offered.clone()
    }

    /// The letters, once there are at least `count`. Fails the test after 10 seconds.
    pub fn wait_for(&self, count: usize) -> Vec<Received> {
        self.wait_for_within(count, PATIENCE)
    }

    /// The same with another limit.
    pub fn wait_for_within(&self, count: usize, limit: Duration) -> Vec<Received> {
        let until = Instant::now() + limit;
        let mut state = self.state();
        while state.received.len() < count {
            let left = until.saturating_duration_since(Instant::now());
            assert!(
                !left.is_zero(),
                "{} of {count} letters after {limit:?}; the server heard {:#?}",
                state.received.len(),
                state.commands
            );
            (state, _) = self
                .shared
                .changed
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner);
        }
        state.received.clone()
    }

    /// How many connections were made so far.
    pub fn connections(&self) -> usize {
        self.state().connections
    }

    /// Every command line so far, from all connections (a login without its secret).
    pub fn commands(&self) -> Vec<String> {
        self.state().commands.clone()
    }

    /// Forgets every letter and command so far.
    pub fn forget(&self) {
        let mut state = self.state();
        state.received.clear();
        state.offered.clear();
        state.commands.clear();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state()
    }
}

impl Drop for SmtpServer {
    fn drop(&mut self) {
        self.down();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn act(&self, phase: Phase) -> Option<Act> {
        let mut state = self.state();
        let once = state.once.get_mut(&phase).and_then(VecDeque::pop_front);
        once.or_else(|| state.always.get(&phase).cloned())
            .or_else(|| state.mood.as_mut().and_then(|mood| mood(phase)))
    }

    fn refused(&self, to: &[String]) -> Option<Act> {
        let state = self.state();
        to.iter().find_map(|to| state.refused.get(to).cloned())
    }

    /// Waits, but not after the server went down.
    fn pause(&self, limit: Duration) {
        let state = self.state();
        let _ = self
            .changed
            .wait_timeout_while(state, limit, |state| !state.down);
    }

    fn keep(&self, letter: Received) {
        self.state().received.push(letter);
        self.changed.notify_all();
    }
}

fn listen(listener: TcpListener, shared: Arc<Shared>) -> JoinHandle<()> {
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(stream) = stream else { continue };
            {
                let mut state = shared.state();
                if state.down {
                    return;
                }
                state.connections += 1;
                if let Ok(copy) = stream.try_clone() {
                    state.open.push(copy);
                }
            }
            let shared = Arc::clone(&shared);
            // an error is a connection that ended, which is how most tests end
            thread::spawn(move || {
                let _ = Conversation::new(stream, shared).and_then(Conversation::hold);
            });
        }
    })
}

struct Conversation {
    shared: Arc<Shared>,
    lines: BufReader<TcpStream>,
    from: Option<String>,
    to: Vec<String>,
}

/// Whether the conversation goes on.
type Said = std::io::Result<bool>;

impl Conversation {
    fn new(stream: TcpStream, shared: Arc<Shared>) -> std::io::Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(2 * LONGEST_HANG))?;
        Ok(Self {
            shared,
            lines: BufReader::new(stream),
            from: None,
            to: Vec::new(),
        })
    }

    fn hold(mut self) -> std::io::Result<()> {
        let ended = self.converse();
        // the copy kept for `down` would hold the connection open
        let _ = self.lines.get_ref().shutdown(Shutdown::Both);
        ended
    }

    fn converse(&mut self) -> std::io::Result<()> {
        if !self.say(Phase::Greeting, "220 test ready")? {
            return Ok(());
        }
        while let Some(line) = self.line()? {
            let (verb, rest) = line.split_once(' ').unwrap_or((&line, ""));
            let verb = verb.to_ascii_uppercase();
            let shown = if verb == "AUTH" {
                format!("AUTH {}", rest.split(' ').next().unwrap_or(""))
            } else {
                line.clone()
            };
            self.shared.state().commands.push(shown);
            let goes_on = match verb.as_str() {
                "EHLO" | "HELO" => {
                    let offers = self.shared.state().offers.clone();
                    let mut lines = vec!["test".to_owned()];
                    lines.extend(offers);
                    let last = lines.len() - 1;
                    let answer: Vec<String> = lines
                        .iter()
                        .enumerate()
                        .map(|(i, l)| format!("250{}{l}", if i == last { ' ' } else { '-' }))
                        .collect();
                    self.say(Phase::Ehlo, &answer.join("\r\n"))?
                }
                "AUTH" => self.auth(rest)?,
                "MAIL" => {
                    self.from = Some(path(rest));
                    self.to.clear();
                    self.say(Phase::Mail, "250 2.1.0 sender ok")?
                }
                "RCPT" => {
                    self.to.push(path(rest));
                    self.say(Phase::Rcpt, "250 2.1.5 recipient ok")?
                }
                "DATA" => self.data()?,
                "NOOP" => self.say(Phase::Noop, "250 2.0.0 ok")?,
                "RSET" => {
                    self.from = None;
                    self.to.clear();
                    self.write("250 2.0.0 ok")?
                }
                "QUIT" => {
                    self.say(Phase::Quit, "221 2.0.0 bye")?;
                    false
                }
                _ => self.write("502 5.5.1 what?")?,
            };
            if !goes_on {
                return Ok(());
            }
        }
        Ok(())
    }

    fn auth(&mut self, rest: &str) -> Said {
        if rest.eq_ignore_ascii_case("LOGIN") {
            // "Username:" and "Password:" in base64
            for question in ["334 VXNlcm5hbWU6", "334 UGFzc3dvcmQ6"] {
                self.write(question)?;
                if self.line()?.is_none() {
                    return Ok(false);
                }
            }
        }
        self.say(Phase::Auth, "235 2.7.0 welcome")
    }

    fn data(&mut self) -> Said {
        let refused = self.shared.refused(&self.to);
        match refused.or_else(|| self.shared.act(Phase::Data)) {
            // any 3xx lets the letter come
            Some(Act::Reply(code, text)) if !(300..400).contains(&code) => {
                return self.write(&format!("{code} {text}"));
            }
            Some(act) => {
                if !self.misbehave(act, "354 go ahead")? {
                    return Ok(false);
                }
            }
            None => {
                self.write("354 go ahead")?;
            }
        }
        let mut data = Vec::new();
        loop {
            let mut line = Vec::new();
            if self.lines.read_until(b'\n', &mut line)? == 0 {
                // no final dot: not a letter
                return Ok(false);
            }
            if line == b".\r\n" {
                break;
            }
            data.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
        }
        let letter = Received {
            from: self.from.take().unwrap_or_default(),
            to: std::mem::take(&mut self.to),
            data: String::from_utf8_lossy(&data).into_owned(),
        };
        self.shared.state().offered.push(letter.clone());
        let act = self.shared.act(Phase::Body);
        let kept = match &act {
            Some(Act::Reply(code, _)) => (200..300).contains(code),
            Some(Act::Lose) => false,
            Some(Act::Hang | Act::Drop | Act::Garbage) => true,
            Some(Act::Slow(time)) => {
                self.shared.pause(*time);
                true
            }
            None => true,
        };
        if kept {
            self.shared.keep(letter);
        }
        match act {
            None | Some(Act::Slow(_)) => self.write("250 2.0.0 kept"),
            Some(act) => self.misbehave(act, ""),
        }
    }

    /// Answers as it should, unless it was told otherwise.
    fn say(&mut self, phase: Phase, proper: &str) -> Said {
        match self.shared.act(phase) {
            None => self.write(proper),
            Some(act) => self.misbehave(act, proper),
        }
    }

    fn misbehave(&mut self, act: Act, proper: &str) -> Said {
        match act {
            Act::Reply(code, text) => self.write(&format!("{code} {text}")),
            Act::Hang => {
                self.shared.pause(LONGEST_HANG);
                Ok(false)
            }
            Act::Drop | Act::Lose => Ok(false),
            Act::Garbage => self.write("<html>\u{0}\u{1b}[31m this is no mail server"),
            Act::Slow(time) => {
                self.shared.pause(time);
                self.write(proper)
            }
        }
    }

    fn write(&mut self, answer: &str) -> Said {
        self.lines
            .get_mut()
            .write_all(format!("{answer}\r\n").as_bytes())?;
        Ok(true)
    }

    /// The next line without its end; `None` when the client has left.
    fn line(&mut self) -> std::io::Result<Option<String>> {
        let mut line = Vec::new();
        if self.lines.read_until(b'\n', &mut line)? == 0 {
            return Ok(None);
        }
        Ok(Some(
            String::from_utf8_lossy(&line)
                .trim_end_matches(['\r', '\n'])
                .to_owned(),
        ))
    }
}

/// `FROM:<a@b> BODY=8BITMIME` → `a@b`
fn path(rest: &str) -> String {
    rest.split_once('<')
        .and_then(|(_, rest)| rest.split_once('>'))
        .map_or(rest, |(address, _)| address)
        .to_owned()
}

impl Received {
    /// The value of a header, unfolded, encoded words read. Names are compared without case.
    pub fn header(&self, name: &str) -> Option<String> {
        header(&self.data, name).map(|value| encoded_words(&value))
    }

    /// The subject as people read it.
    pub fn subject(&self) -> String {
        self.header("Subject").unwrap_or_default()
    }

    /// The plain text part, decoded, lines ending in LF.
    pub fn text(&self) -> String {
        self.part("text/plain")
    }

    /// The HTML part, decoded, lines ending in LF.
    pub fn html(&self) -> String {
        self.part("text/html")
    }

    fn part(&self, kind: &str) -> String {
        let boundary = header(&self.data, "Content-Type")
            .and_then(|value| {
                let (_, rest) = value.split_once("boundary=")?;
                Some(rest.trim_matches('"').split('"').next()?.to_owned())
            })
            .expect("a letter in several parts");
        self.data
            .split(&format!("--{boundary}"))
            .find(|part| {
                header(part.trim_start(), "Content-Type").is_some_and(|v| v.starts_with(kind))
            })
            .map(|part| {
                let part = part.trim_start();
                let (_, body) = part.split_once("\r\n\r\n").expect("a body");
                // the line end before the boundary belongs to the boundary
                let body = body.strip_suffix("\r\n").unwrap_or(body);
                let bytes = match header(part, "Content-Transfer-Encoding").as_deref() {
                    Some("quoted-printable") => quoted_printable(body),
                    Some("base64") => STANDARD
                        .decode(body.replace(['\r', '\n'], ""))
                        .expect("base64"),
                    _ => body.as_bytes().to_vec(),
                };
                String::from_utf8(bytes)
                    .expect("UTF-8")
                    .replace("\r\n", "\n")
            })
            .expect("a part of that kind")
    }
}

fn header(data: &str, name: &str) -> Option<String> {
    let head = data.split("\r\n\r\n").next()?;
    let unfolded = head.replace("\r\n ", " ").replace("\r\n\t", " ");
    unfolded.split("\r\n").find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name)
            .then(|| value.trim().to_owned())
    })
}

fn quoted_printable(text: &str) -> Vec<u8> {
    let text = text.replace("=\r\n", "");
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let hex = after
            .get(..2)
            .and_then(|pair| str::from_utf8(pair).ok())
            .and_then(|pair| u8::from_str_radix(pair, 16).ok());
        match (first, hex) {
            (b'=', Some(byte)) => {
                out.push(byte);
                rest = &after[2..];
            }
            _ => {
                out.push(first);
                rest = after;
            }
        }
    }
    out
}

/// `=?utf-8?b?R3LDvMOfZQ==?=` → `Grüße` (RFC 2047); white space between two encoded words is not text.
fn encoded_words(value: &str) -> String {
    let mut out = String::new();
    let mut after_encoded = false;
    for word in value.split(' ').filter(|word| !word.is_empty()) {
        let fields: Vec<&str> = word.split('?').collect();
        let decoded = match fields[..] {
            ["=", _, encoding, text, "="] if encoding.eq_ignore_ascii_case("b") => {
                STANDARD.decode(text).ok()
            }
            ["=", _, encoding, text, "="] if encoding.eq_ignore_ascii_case("q") => {
                Some(quoted_printable(&text.replace('_', " ")))
            }
            _ => None,
        };
        let is_encoded = decoded.is_some();
        let joined = is_encoded && after_encoded;
        if !out.is_empty() && !joined {
            out.push(' ');
        }
        match decoded {
            Some(bytes) => out.push_str(&String::from_utf8_lossy(&bytes)),
            None => out.push_str(word),
        }
        after_encoded = is_encoded;
    }
    out
}
