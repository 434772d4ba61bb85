//! Inviting: the form as a page, the same form in a dialog, and what it answers.

use crate::{
    actions::{
        self,
        invitations::{Entry, Invite, Invited, Outcome},
    },
    domain::{
        email,
        invitation::MOST_AT_ONCE,
        policy::Permission,
        refusal::Refusal,
        role::{InvitableRole, Role},
        text::Note,
        time::Timestamp,
    },
    store,
    web::{
        answer,
        app::App,
        form::{FormToken, Post, refused},
        page::{self, Banner, Cx, RoleChoice},
        problem::{self, Problem},
        urls,
        visit::{Seen, Visit},
        when::When,
    },
};
use actix_web::{
    HttpResponse,
    web::{Path, Query},
};
use askama::Template;
use serde::Deserialize;

/// Invitations that need no more time than any other change.
const FEW: usize = 10;

#[derive(Template)]
#[template(path = "team/invite.html")]
struct InvitePage<'a> {
    cx: &'a Cx,
    form: InviteForm,
}

/// The invite form, as page or dialog.
pub(super) struct InviteForm {
    pub(super) in_dialog: bool,
    pub(super) open: bool,
    pub(super) valid_for: String,
    pub(super) emails: String,
    pub(super) emails_errors: Vec<EntryFault>,
    pub(super) roles: Vec<RoleChoice>,
    pub(super) role_error: Option<String>,
    pub(super) message: String,
    pub(super) message_error: Option<String>,
    pub(super) link_only: bool,
}

impl InviteForm {
    fn empty(app: &App, in_dialog: bool, role: InvitableRole) -> Self {
        Self {
            in_dialog,
            open: false,
            valid_for: page::in_words(app.means.rules.valid_for),
            emails: String::new(),
            emails_errors: Vec::new(),
            roles: page::role_choices(Some(role)),
            role_error: None,
            message: String::new(),
            message_error: None,
            link_only: false,
        }
    }

    /// The dialog on a list; `reopen` is the role it was left with after **Invite another**.
    pub(super) fn dialog(app: &App, reopen: Option<Role>) -> Self {
        let role = reopen.and_then(|role| InvitableRole::parse(role.as_str()));
        Self {
            open: reopen.is_some(),
            ..Self::empty(app, true, role.unwrap_or(InvitableRole::Member))
        }
    }
}

/// The query of the form's page: filled in for **Invite again**.
#[derive(Deserialize)]
pub(in crate::web) struct Prefill {
    #[serde(default)]
    emails: String,
    #[serde(default)]
    role: String,
}

/// `GET /orgs/{org}/settings/team/invite`
pub(in crate::web) async fn show(
    visit: Visit,
    org: Path<String>,
    prefill: Query<Prefill>,
) -> Result<HttpResponse, Problem> {
    let (seen, ()) = visit
        .member(&org, |_, member| member.check(Permission::InviteMember))
        .await?;
    let role = InvitableRole::parse(&prefill.role).unwrap_or(InvitableRole::Member);
    let cx = visit.frame(&seen, "team/invite", "Invite Member");
    let form = InviteForm {
        emails: prefill.emails.clone(),
        ..InviteForm::empty(&visit.app, false, role)
    };
    answer::ok(&InvitePage { cx: &cx, form })
}

/// The invite form as it was sent.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::web) struct Fields {
    #[serde(rename = "csrf")]
    _csrf: FormToken,
    emails: String,
    role: String,
    #[serde(default)]
    message: String,
    #[serde(default)]
    link_only: Option<String>,
    #[serde(default)]
    from: String,
    #[serde(default)]
    then: String,
}

/// `POST /orgs/{org}/settings/team/invite`
pub(in crate::web) async fn invite(
    post: Post<Fields>,
    org: Path<String>,
) -> Result<HttpResponse, Problem> {
    let form = &post.form;
    let entries = email::parse_list(&form.emails, MOST_AT_ONCE + 1);
    let role = InvitableRole::parse(&form.role);
    let note = Note::parse(&form.message);
    let mut faults = Faults::default();
    if entries.is_empty() {
        faults
            .emails
            .push(EntryFault::of("Enter at least one email address."));
    } else if entries.len() > MOST_AT_ONCE {
        let text = format!(
            "These are more than {MOST_AT_ONCE} addresses. Send up to {MOST_AT_ONCE} at once."
        );
        faults.emails.push(EntryFault::of(text));
    }
    let (Some(role), Ok(note), true) = (role, &note, faults.emails.is_empty()) else {
        faults.role = role
            .is_none()
            .then(|| "Choose Admin, Member or Viewer.".to_owned());
        faults.message = note.err().map(|fault| fault.to_string());
        return again(
            &post,
            &org,
            Again {
                faults,
                emails: form.emails.clone(),
                invited: 0,
                limit: None,
            },
        )
        .await;
    };
    let wanted = Invite {
        entries: entries
            .into_iter()
            .map(|email| Entry { email, role })
            .collect(),
        note: note.clone(),
        link_only: form.link_only.is_some(),
    };
    let (slug, many) = (org.clone(), wanted.entries.len() > FEW);
    let inviting =
        post.act(move |run, actor| actions::invitations::invite(run, actor, &slug, &wanted));
    let results = if many {
        store::unhurried(inviting).await
    } else {
        inviting.await
    };
    let results = match refused(results)? {
        Ok(results) => results,
        Err(refusal) => return all_refused(&post, &org, refusal).await,
    };
    let now = post.visit.app.now();
    let invited = results
        .iter()
        .filter(|one| matches!(one.outcome, Outcome::Invited(_)))
        .count();
    let left: Vec<&Invited> = results
        .iter()
        .filter(|one| !matches!(one.outcome, Outcome::Invited(_)))
        .collect();
    if left.is_empty() {
        return sent(&post, &org, role, invited).await;
    }
    let faults = Faults {
        emails: left
            .iter()
            .map(|one| EntryFault::new(one, &org, now))
            .collect(),
        ..Faults::default()
    };
    let still: Vec<&str> = left.iter().map(|one| one.entry.as_str()).collect();
    let limit = left.iter().find_map(|one| match &one.outcome {
        Outcome::OverLimit(refusal) if invited == 0 => Some(refusal.clone()),
        _ => None,
    });
    again(
        &post,
        &org,
        Again {
            faults,
            emails: still.join("\n"),
            invited,
            limit,
        },
    )
    .await
}

/// Nobody was invited, whoever was on the list: the form again, with everything that was in it.
async fn all_refused(
    post: &Post<Fields>,
    slug: &str,
    refusal: Refusal,
) -> Result<HttpResponse, Problem> {
    let explained = problem::explain(&refusal.clone().into(), Some(post.visit.app.now()));
    let faults = Faults {
        emails: vec![EntryFault::of(explained.advice)],
        ..Faults::default()
    };
    again(
        post,
        slug,
        Again {
            faults,
            emails: post.form.emails.clone(),
            invited: 0,
            limit: Some(refusal),
        },
    )
    .await
}

/// Everybody was invited: back to where the form was, or to an empty form for the next one.
async fn sent(
    post: &Post<Fields>,
    slug: &str,
    role: InvitableRole,
    invited: usize,
) -> Result<HttpResponse, Problem> {
    let mut banner = Banner::done(invited_line(invited));
    if post.visit.app.means.rules.seats.is_some() {
        let (seen, ()) = post.visit.member(slug, |_, _| Ok(())).await?;
        banner = or_full(banner, &seen, &post.visit.app);
    }
    let (dialog, another) = (post.form.from == "dialog", post.form.then == "another");
    let url = match (another, dialog) {
        (true, true) => format!("{}?invite={}", urls::team(slug), role.as_str()),
        (true, false) => format!("{}?role={}", urls::invite(slug), role.as_str()),
        (false, _) => urls::invitations(slug),
    };
    Ok(post.visit.see_other_saying(url, &banner))
}

/// Says so where the organization is full: the invitations wait for a seat (R-ACC-7).
fn or_full(banner: Banner, seen: &Seen, app: &App) -> Banner {
    match seen.place() {
        Some(place) if !app.means.rules.has_seat(place.member_count) => banner.but(format!(
            "{} is full: they can't join until a seat is free.",
            place.name
        )),
        _ => banner,
    }
}

pub(super) fn invited_line(invited: usize) -> String {
    if invited == 1 {
        "Invited 1 person.".to_owned()
    } else {
        format!("Invited {invited} people.")
    }
}

/// What is wrong with an entry, and what can be done about it at once (R-INV-4).
pub(super) struct EntryFault {
    pub(super) text: String,
    /// A pending invitation to send again: where to post.
    pub(super) resend: Option<String>,
    /// A pending invitation with another role: where to change it.
    pub(super) change_role: Option<String>,
}

impl EntryFault {
    pub(super) fn of(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            resend: None,
            change_role: None,
        }
    }

    /// Why one entry was not invited, in a line.
    pub(super) fn new(one: &Invited, slug: &str, now: Timestamp) -> Self {
        let (who, role) = (&one.entry, one.role);
        match &one.outcome {
            Outcome::Invited(_) => Self::of(format!("{who} is invited")),
            Outcome::AlreadyMember(name) => Self::of(format!("{who} is already a member ({name})")),
            Outcome::AlreadyInvited {
                invitation,
                role: has,
                sent_at,
            } => {
                let text = format!(
                    "{who} already has an invitation as {}, sent {}",
                    has.label(),
                    When::new(*sent_at, now).relative()
                );
                let url = urls::invitation(slug, *invitation);
                let resend = (*has == role).then(|| format!("{url}/resend"));
                let change_role = (*has != role).then(|| format!("{url}/role"));
                Self {
                    text,
                    resend,
                    change_role,
                }
            }
            Outcome::OverLimit(refusal) => Self::of(format!(
                "{who}: {}",
                problem::explain(&refusal.clone().into(), Some(now)).advice
            )),
            Outcome::Bad(bad) => Self::of(format!("{who} {}", bad.fault)),
        }
    }
}

/// What the form is shown again with.
struct Again {
    faults: Faults,
    /// What still has to be invited.
    emails: String,
    /// How many were.
    invited: usize,
    /// The first limit that was met, when nobody was invited.
    limit: Option<Refusal>,
}

#[derive(Default)]
struct Faults {
    emails: Vec<EntryFault>,
    role: Option<String>,
    message: Option<String>,
}

/// The form again, as a page: with what was wrong, and with what still has to be invited in the box.
async fn again(post: &Post<Fields>, slug: &str, again: Again) -> Result<HttpResponse, Problem> {
    let Again {
        faults,
        emails,
        invited,
        limit,
    } = again;
    let (seen, ()) = post
        .visit
        .member(slug, |_, member| member.check(Permission::InviteMember))
        .await?;
    let mut cx = post.visit.frame(&seen, "team/invite", "Invite Member");
    cx.banner =
        (invited > 0).then(|| or_full(Banner::done(invited_line(invited)), &seen, &post.visit.app));
    let explained = limit.map(|refusal| problem::explain(&refusal.into(), Some(seen.now)));
    let form = InviteForm {
        emails,
        emails_errors: faults.emails,
        roles: page::role_choices(InvitableRole::parse(&post.form.role)),
        role_error: faults.role,
        message: post.form.message.clone(),
        message_error: faults.message,
        link_only: post.form.link_only.is_some(),
        ..InviteForm::empty(&post.visit.app, false, InvitableRole::Member)
    };
    answer::again(&InvitePage { cx: &cx, form }, explained.as_ref())
}
