//! Connections: how long a client may take over the head of a request, and over reading the answer.
//!
//! actix limits the first head only: one byte a second keeps a second one open for ever, and so does not reading an
//! answer. So every connection has a moment until when its client has to do something; [`pace`] moves it on with each
//! request and answer, and a task of the connection shuts the socket when it has passed. How long a body may take is
//! said where it is read (form.rs, upload.rs).

use actix_web::{
    Error,
    body::{BodySize, MessageBody},
    dev::{Extensions, ServiceRequest, ServiceResponse},
    middleware::Next,
    rt::{self, net::TcpStream, task::JoinHandle},
    web::Bytes,
};
use socket2::{SockRef, Socket};
use std::{
    any::Any,
    cell::Cell,
    io,
    net::Shutdown,
    os::fd::AsFd as _,
    pin::Pin,
    rc::{Rc, Weak},
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::{Instant, sleep_until};

/// How long a connection may be without a request, from the end of an answer. A browser opens another one when it needs
/// it; actix's own five seconds.
pub const IDLE: Duration = Duration::from_secs(5);
/// How long the head of a request may take.
pub const HEAD_TIME: Duration = Duration::from_secs(10);
/// How long a piece of an answer may wait for its reader, besides the time for its length (4 kB a second).
pub const READ_TIME: Duration = Duration::from_secs(20);
/// The slowest reader, in bytes a second: a telephone at the edge of a network.
const SLOWEST: u64 = 4 * 1024;
/// How often a task looks at a connection whose request is being worked on.
const LOOK: Duration = Duration::from_secs(5);

/// What is kept of a connection while it is open.
struct Connection {
    /// The same socket under another number, so that it can be shut while actix waits on it.
    socket: Socket,
    /// Until when the client has to do something. None: we have.
    until: Cell<Option<Instant>>,
}

impl Connection {
    fn wait(&self, time: Duration) {
        self.until.set(Some(Instant::now() + time));
    }

    /// Ends it at once: what the client has not read is dropped (a reset instead of a farewell), or the kernel would keep
    /// it for a reader who never reads.
    fn shut(&self) {
        let shut = self
            .socket
            .set_linger(Some(Duration::ZERO))
            .and_then(|()| self.socket.shutdown(Shutdown::Both));
        // Whoever is gone already needs no shutting.
        if let Err(error) = shut {
            tracing::debug!(%error, "a slow client was gone already");
        }
    }
}

/// Goes with the connection in actix's hands; its end is the connection's.
struct Watched {
    connection: Rc<Connection>,
    task: JoinHandle<()>,
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// For `HttpServer::on_connect`: starts watching a connection. One that cannot be watched is not served.
pub fn watch(socket: &dyn Any, kept: &mut Extensions) {
    let Some(socket) = socket.downcast_ref::<TcpStream>() else {
        return;
    };
    match watched(socket) {
        Ok(watched) => {
            kept.insert(watched);
        }
        Err(error) => {
            tracing::warn!(%error, "a connection cannot be watched, and is closed");
            drop(SockRef::from(socket).shutdown(Shutdown::Both));
        }
    }
}

fn watched(socket: &TcpStream) -> io::Result<Watched> {
    let connection = Rc::new(Connection {
        socket: Socket::from(socket.as_fd().try_clone_to_owned()?),
        until: Cell::new(None),
    });
    // What actix has handed to the kernel is no longer its business: a reader who takes none of it for so long is gone.
    connection.socket.set_tcp_user_timeout(Some(READ_TIME))?;
    connection.wait(HEAD_TIME + IDLE);
    let task = rt::spawn(end_when_late(Rc::downgrade(&connection)));
    Ok(Watched { connection, task })
}

async fn end_when_late(connection: Weak<Connection>) {
    loop {
        let now = Instant::now();
        let next = match connection.upgrade() {
            None => return,
            Some(open) => match open.until.get() {
                Some(until) if until <= now => return open.shut(),
                Some(until) => until,
                None => now + LOOK,
            },
        };
        sleep_until(next).await;
    }
}

/// A request from its head to the end of its answer. Afterwards the next head has to come in time.
struct Turn(Option<Rc<Connection>>);

impl Turn {
    fn begin(request: &ServiceRequest) -> Self {
        let turn = Self(
            request
                .conn_data::<Watched>()
                .map(|watched| Rc::clone(&watched.connection)),
        );
        turn.ours();
        turn
    }

    /// The client waits for us.
    fn ours(&self) {
        if let Some(connection) = &self.0 {
            connection.until.set(None);
        }
    }

    /// We wait for the client to take so many bytes.
    fn theirs(&self, bytes: usize) {
        if let Some(connection) = &self.0 {
            let seconds = u64::try_from(bytes).unwrap_or(u64::MAX) / SLOWEST;
            connection.wait(READ_TIME + Duration::from_secs(seconds.min(3600)));
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(connection) = &self.0 {
            connection.wait(IDLE + HEAD_TIME);
        }
    }
}

/// The body of an answer that notes how it is taken.
pub struct Paced<B> {
    body: Pin<Box<B>>,
    turn: Turn,
}

impl<B: MessageBody> MessageBody for Paced<B> {
    type Error = B::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    /// actix asks for the next piece when the client has taken the last one, but for some that are on the way.
    fn poll_next(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, B::Error>>> {
        let paced = self.get_mut();
        let next = paced.body.as_mut().poll_next(context);
        match &next {
            Poll::Ready(Some(Ok(bytes))) => paced.turn.theirs(bytes.len()),
            Poll::Ready(_) => {}
            Poll::Pending => paced.turn.ours(),
        }
        next
    }
}

/// The outermost middleware: notes when a request begins and how its answer is taken.
///
/// # Errors
/// What the others answer.
pub async fn pace<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<Paced<B>>, Error> {
    let turn = Turn::begin(&request);
    let response = next.call(request).await?;
    // It may have to wait behind the answer before it.
    turn.theirs(0);
    Ok(response.map_body(|_, body| Paced {
        body: Box::pin(body),
        turn,
    }))
}
