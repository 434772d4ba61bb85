//! A visit: the cookie of a request, and what the database says about it.
//!
//! The cookie is read without the database; session, account and memberships come from it in the same hop as the
//! page's own rows. Nothing that decides anything lives in the cookie.

use super::{
    app::App,
    csrf::{self, Seed},
    page::{self, Banner, Cx, Here, MailTrouble, Me, OrgLink},
    problem::Problem,
    urls,
    when::When,
};
use crate::{
    actions::{Client, Failure},
    domain::{
        account::Session,
        policy::{self, Permission},
        session,
        time::Timestamp,
    },
    store::{self, Conn, sessions::Place},
    token::SessionToken,
};
use actix_session::SessionExt as _;
use actix_web::{
    FromRequest, HttpRequest, HttpResponse, dev::Payload, http::Method, http::header, web::Data,
};
use std::{future::Ready, future::ready, net::IpAddr};
use tracing::Instrument as _;

/// The cookie's key for the session token.
const TOKEN: &str = "t";
/// The cookie's key for the banner of the next page.
const BANNER: &str = "b";
/// The cookie's key for the mark that a form, not a link, leads to an organization's home.
const LED: &str = "f";
/// Longest `User-Agent` that is kept, in characters.
const LONGEST_AGENT: usize = 200;

/// A request's cookie and client. Reading it never fails and asks nobody.
pub struct Visit {
    pub(super) app: Data<App>,
    pub(super) client: Client,
    token: Option<SessionToken>,
    cookie: actix_session::Session,
    get: bool,
    posted: bool,
}

impl FromRequest for Visit {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Self::of(request))
    }
}

/// What the database says about a visit. Travels between threads.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Who is signed in.
    pub session: Option<Session>,
    /// Their memberships, by name of the organization.
    pub places: Vec<Place>,
    /// Which of them this page is about.
    here: Option<usize>,
    /// How much waits behind the bell: unread notifications and open invitations.
    bell: i64,
    /// Whether letters to others need a confirmed address first (R-ORG-6).
    must_confirm: bool,
    /// The moment of the request.
    pub now: Timestamp,
}

/// A member on a page of an organization.
#[derive(Clone, Copy, Debug)]
pub struct Member<'a> {
    /// Who.
    pub session: &'a Session,
    /// Where, and as what.
    pub place: &'a Place,
    /// Whether letters to others need a confirmed address first (R-ORG-6).
    pub must_confirm: bool,
    /// The moment of the request.
    pub now: Timestamp,
}

impl Member<'_> {
    /// Asks the policy for a page.
    ///
    /// # Errors
    /// [`Failure::Denied`].
    pub fn check(&self, permission: Permission) -> Result<(), Failure> {
        Ok(policy::check(self.place.role, permission)?)
    }

    /// Whether the member may, for a button.
    pub fn may(&self, permission: Permission) -> bool {
        policy::allows(self.place.role, permission)
    }
}

impl Seen {
    /// Nobody is signed in, as far as we know.
    pub(super) const fn anonymous(now: Timestamp) -> Self {
        Self {
            session: None,
            places: Vec::new(),
            here: None,
            bell: 0,
            must_confirm: false,
            now,
        }
    }

    /// Session and memberships of a token; nobody for a token without a live session.
    pub(super) fn look(
        conn: &mut Conn,
        token: Option<&SessionToken>,
        now: Timestamp,
    ) -> Result<Self, Failure> {
        let Some(token) = token else {
            return Ok(Self::anonymous(now));
        };
        Ok(match store::sessions::visitor(conn, &token.hash(), now)? {
            Some((session, places)) => Self {
                session: Some(session),
                places,
                here: None,
                bell: 0,
                must_confirm: false,
                now,
            },
            None => Self::anonymous(now),
        })
    }

    /// Whether a newer version of a legal document waits to be accepted before anything else (R-ACC-9).
    pub(super) fn consent_due(&self) -> bool {
        self.session
            .as_ref()
            .is_some_and(|session| session.consent_due_at.is_some())
    }

    /// The membership this page is about.
    pub fn place(&self) -> Option<&Place> {
        self.here.and_then(|index| self.places.get(index))
    }

    /// Counts what waits behind the bell.
    fn with_bell(mut self, conn: &mut Conn) -> Result<Self, Failure> {
        if let Some(Session { account, .. }) = &self.session {
            let most = page::BELL_LIMIT + 1;
            self.bell = store::notifications::waiting(conn, account, self.now, most)?;
        }
        Ok(self)
    }

    /// Notes whether this person has to confirm their address before Roster mails others for them.
    fn with_duty(mut self, conn: &mut Conn, mail_ready: bool) -> Result<Self, Failure> {
        if let Some(Session { account, .. }) = &self.session {
            let first = || store::accounts::is_first(conn, account.id);
            self.must_confirm = !account.may_mail_others(mail_ready, first)?;
        }
        Ok(self)
    }

    fn at(mut self, slug: &str) -> Self {
        self.here = self.places.iter().position(|place| place.slug == slug);
        self
    }

    /// The member this page is for.
    ///
    /// # Errors
    /// [`Failure::SignedOut`]; [`Failure::NotFound`] for an organization that is not theirs or does not exist.
    pub fn member(&self) -> Result<Member<'_>, Failure> {
        let session = self.session.as_ref().ok_or(Failure::SignedOut)?;
        let place = self.place().ok_or(Failure::NotFound)?;
        Ok(Member {
            session,
            place,
            must_confirm: self.must_confirm,
            now: self.now,
        })
    }
}

impl Visit {
    pub(super) fn of(request: &HttpRequest) -> Result<Self, Problem> {
        let app = request
            .app_data::<Data<App>>()
            .cloned()
            .ok_or_else(|| Problem::broken("App is not registered"))?;
        let cookie = request.get_session();
        let token = cookie
            .get::<String>(TOKEN)
            .ok()
            .flatten()
            .and_then(|text| SessionToken::parse(&text));
        let agent = request
            .headers()
            .get(header::USER_AGENT)
            .and_then(|value| value.to_str().ok())
            .unwrap_or("");
        let client = Client {
            address: client_address(request, &app),
            agent: agent.chars().take(LONGEST_AGENT).collect(),
        };
        Ok(Self {
            app,
            client,
            token,
            cookie,
            get: request.method() == Method::GET,
            posted: request.method() == Method::POST,
        })
    }

    pub(super) const fn token(&self) -> Option<&SessionToken> {
        self.token.as_ref()
    }

    /// Reads for whoever it is, signed in or not. `slug` names the organization the page is about, if any.
    ///
    /// # Errors
    /// What `work` answers.
    pub async fn anyone<T: Send + 'static>(
        &self,
        slug: Option<String>,
        work: impl FnMut(&mut Conn, &Seen) -> Result<T, Failure> + Send + 'static,
    ) -> Result<(Seen, T), Problem> {
        self.look(slug, false, work).await
    }

    /// As [`Visit::anyone`], also for a session that has yet to accept a newer version of a legal document: for the page
    /// where that is done, and for the documents.
    ///
    /// # Errors
    /// What `work` answers.
    pub(super) async fn anyone_unconsented<T: Send + 'static>(
        &self,
        work: impl FnMut(&mut Conn, &Seen) -> Result<T, Failure> + Send + 'static,
    ) -> Result<(Seen, T), Problem> {
        self.look(None, true, work).await
    }

    /// The one door for reading. A session that waits for a consent reads nothing else (R-ACC-9); the door for writing is
    /// in [`super::form`].
    async fn look<T: Send + 'static>(
        &self,
        slug: Option<String>,
        unconsented: bool,
        mut work: impl FnMut(&mut Conn, &Seen) -> Result<T, Failure> + Send + 'static,
    ) -> Result<(Seen, T), Problem> {
        let (token, now) = (self.token.clone(), self.app.now());
        let mail_ready = self.app.means.rules.mail_ready;
        let (seen, done) = self
            .app
            .read(move |conn| {
                let mut seen = Seen::look(conn, token.as_ref(), now)?
                    .with_bell(conn)?
                    .with_duty(conn, mail_ready)?;
                if let Some(slug) = &slug {
                    seen = seen.at(slug);
                }
                if !unconsented && seen.consent_due() {
                    return Ok((seen, None));
                }
                let done = work(conn, &seen)?;
                Ok((seen, Some(done)))
            })
            .await?;
        self.touch(&seen);
        Ok((seen, done.ok_or(Problem::ConsentDue)?))
    }

    /// Reads for a member of the organization `slug`.
    ///
    /// # Errors
    /// [`Failure::SignedOut`], [`Failure::NotFound`] and what `work` answers.
    pub async fn member<T: Send + 'static>(
        &self,
        slug: &str,
        mut work: impl FnMut(&mut Conn, Member<'_>) -> Result<T, Failure> + Send + 'static,
    ) -> Result<(Seen, T), Problem> {
        if self.token.is_none() {
            return Err(Failure::SignedOut.into());
        }
        self.anyone(Some(slug.to_owned()), move |conn, seen| {
            work(conn, seen.member()?)
        })
        .await
    }

    /// Notes that session and membership were used: after the page, and at most once a minute (R-MEM-1).
    fn touch(&self, seen: &Seen) {
        let Some(session) = &seen.session else { return };
        let now = seen.now;
        let place = seen
            .place()
            .map(|place| (place.organization, place.last_active_at));
        let stale = place.filter(|(_, last)| last.is_none_or(|last| session::touch_due(last, now)));
        if !session::touch_due(session.last_seen_at, now) && stale.is_none() {
            return;
        }
        let (db, key, current) = (self.app.db.clone(), session.key(), session.organization);
        let noting = async move {
            let due = now.minus(session::TOUCH_EVERY);
            let done = store::sessions::touch_all(
                &db,
                key,
                place.map(|(organization, _)| organization),
                current,
                now,
                due,
            );
            if let Err(error) = done.await {
                tracing::debug!(%error, "last active was not noted");
            }
        };
        actix_web::rt::spawn(noting.in_current_span());
    }

    /// The frame of a page.
    pub fn frame(&self, seen: &Seen, screen: &'static str, title: impl Into<String>) -> Cx {
        let seed = match &seen.session {
            Some(session) => Seed::Session(session.id),
            None => Seed::Browser(self.browser_token()),
        };
        let here = seen.place();
        let current = here.map(|place| place.organization).or(seen
            .session
            .as_ref()
            .and_then(|session| session.organization));
        Cx {
            csrf: csrf::token(&self.app.site.form_key, &seed),
            banner: self.take_banner(),
            me: seen.session.as_ref().map(|session| Me {
                name: session.account.name.clone(),
                email: session.account.email.shown().to_owned(),
                avatar: session.account.avatar.map(urls::avatar),
                verified: session.account.verified_at.is_some(),
                must_confirm: seen.must_confirm,
            }),
            bell: seen.bell,
            org: here.map(|place| Here {
                slug: place.slug.clone(),
                name: place.name.clone(),
                role: place.role,
            }),
            organizations: seen
                .places
                .iter()
                .map(|place| OrgLink {
                    slug: place.slug.clone(),
                    name: place.name.clone(),
                    role_label: place.role.label().to_owned(),
                    current: current == Some(place.organization),
                })
                .collect(),
            mail_ready: self.app.means.rules.mail_ready,
            mail_trouble: self.mail_trouble(seen, screen),
            screen,
            title: title.into(),
        }
    }

    /// Why letters wait, on the pages of an organization from where they are sent. Costs no query.
    fn mail_trouble(&self, seen: &Seen, screen: &str) -> Option<MailTrouble> {
        let team = screen.split('/').next() == Some("team");
        let shows = team || screen == "organization/home";
        let place = seen.place().filter(|_| shows)?;
        if !policy::allows(place.role, Permission::SeeInvitations) {
            return None;
        }
        self.app.board.trouble().map(|trouble| MailTrouble {
            since: When::new(trouble.since, seen.now),
            reason: trouble.reason,
        })
    }

    /// The cookie's token, made now if the browser has none: the forms of signed-out pages are bound to it.
    fn browser_token(&self) -> SessionToken {
        if let Some(token) = &self.token {
            return token.clone();
        }
        let token = SessionToken::new(self.app.means.entropy.token());
        self.set_token(&token);
        token
    }

    /// Gives the browser another token: after signing in, signing up, joining.
    pub(super) fn set_token(&self, token: &SessionToken) {
        self.cookie.renew();
        if let Err(error) = self.cookie.insert(TOKEN, token.text()) {
            tracing::error!(%error, "cannot write the cookie");
        }
    }

    /// Takes everything from the browser's cookie. (`purge` would also drop the banner that is left afterwards.)
    pub(super) fn forget(&self) {
        self.cookie.clear();
    }

    /// Leaves a message for the next page.
    pub(super) fn leave(&self, banner: &Banner) {
        if let Err(error) = self.cookie.insert(BANNER, banner) {
            tracing::error!(%error, "cannot write the cookie");
        }
    }

    /// The message left for this page. HEAD leaves it for the page that is really shown.
    fn take_banner(&self) -> Option<Banner> {
        if !self.get {
            return None;
        }
        // Without one the cookie is left alone: a page that loads while another tab signs in must not bring the old token back.
        let banner = self.cookie.get::<Banner>(BANNER).ok().flatten()?;
        self.cookie.remove(BANNER);
        self.cookie.remove(LED);
        Some(banner)
    }

    /// Whether a form led to this page. Browsers apply `form-action` to every redirect that follows a form, so from here
    /// on only a page of ours can lead to another site, not a redirect. Asked before [`Visit::frame`], which forgets it.
    pub(super) fn led_by_form(&self) -> bool {
        let led = self.cookie.get::<bool>(LED).ok().flatten().is_some();
        if led && self.get {
            self.cookie.remove(LED);
        }
        led
    }

    /// 303 to another page, of ours after a form.
    pub(super) fn see_other(&self, url: impl AsRef<str>) -> HttpResponse {
        if self.posted
            && urls::is_home(url.as_ref())
            && let Err(error) = self.cookie.insert(LED, true)
        {
            tracing::error!(%error, "cannot write the cookie");
        }
        HttpResponse::SeeOther()
            .insert_header((header::LOCATION, url.as_ref()))
            .finish()
    }

    /// 303 with a message at the top of that page.
    pub(super) fn see_other_saying(&self, url: impl AsRef<str>, banner: &Banner) -> HttpResponse {
        self.leave(banner);
        self.see_other(url)
    }
}

/// The client's address: the socket's, unless that is a trusted proxy; then the last address in `X-Forwarded-For` that
/// is not one. Nobody else is believed.
fn client_address(request: &HttpRequest, app: &App) -> String {
    // An IPv4 client of an IPv6 socket arrives as ::ffff:a.b.c.d.
    let Some(peer) = request.peer_addr().map(|peer| peer.ip().to_canonical()) else {
        return "unknown".to_owned();
    };
    let trusted = |address: &IpAddr| {
        app.site
            .trusted_proxies
            .iter()
            .any(|net| net.contains(address))
    };
    if !trusted(&peer) {
        return peer.to_string();
    }
    let mut nearest = peer;
    let forwarded = request
        .headers()
        .get_all("x-forwarded-for")
        .filter_map(|value| value.to_str().ok());
    let chain: Vec<&str> = forwarded.flat_map(|value| value.split(',')).collect();
    for hop in chain.into_iter().rev() {
        let Ok(address) = hop.trim().parse::<IpAddr>() else {
            break;
        };
        nearest = address.to_canonical();
        if !trusted(&nearest) {
            break;
        }
    }
    nearest.to_string()
}
