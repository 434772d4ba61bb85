//! What every page is made of: the visitor's frame, small views of dates and badges, the answer itself.

use super::{escaped::Initials, static_files, when::When};
use crate::domain::{
    delivery::DeliveryState,
    invitation::Standing,
    policy::{self, Permission},
    role::InvitableRole,
    role::Role,
    time::Timestamp,
};
use serde::{Deserialize, Serialize};
use time::Duration;

/// The hashed address of a static file. Templates call it by this name.
pub fn asset(name: &str) -> &'static str {
    static_files::url(name)
}

/// What every page knows of its visitor. The templates' `cx`.
#[derive(Clone, Debug)]
pub struct Cx {
    /// The form token.
    pub csrf: String,
    /// What the last POST did.
    pub banner: Option<Banner>,
    /// Who is signed in.
    pub me: Option<Me>,
    /// How much waits behind the bell.
    pub bell: i64,
    /// The organization this page is about.
    pub org: Option<Here>,
    /// Every organization of the visitor.
    pub organizations: Vec<OrgLink>,
    /// Whether letters can be sent.
    pub mail_ready: bool,
    /// Why letters wait, for whoever sees invitations.
    pub mail_trouble: Option<MailTrouble>,
    /// The handler and template of this page.
    pub screen: &'static str,
    /// The page's own word in the title.
    pub title: String,
}

/// No letter goes out, because the mail server refuses this Roster itself.
#[derive(Clone, Debug)]
pub struct MailTrouble {
    /// Since when.
    pub since: When,
    /// The server's words.
    pub reason: String,
}

impl Cx {
    /// The frame of a page for nobody in particular, with no form on it.
    pub fn anonymous(screen: &'static str, title: String) -> Self {
        Self {
            csrf: String::new(),
            banner: None,
            me: None,
            bell: 0,
            org: None,
            organizations: Vec::new(),
            mail_ready: true,
            mail_trouble: None,
            screen,
            title,
        }
    }
}

/// One message at the top of the next page.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Banner {
    /// `ok`, `warn` or `err`.
    pub kind: String,
    /// Its lines.
    pub lines: Vec<String>,
}

impl Banner {
    /// Something was done.
    pub fn done(line: impl Into<String>) -> Self {
        Self {
            kind: "ok".to_owned(),
            lines: vec![line.into()],
        }
    }

    /// The same, with something to mind.
    #[must_use]
    pub fn but(mut self, line: impl Into<String>) -> Self {
        self.kind = "warn".to_owned();
        self.lines.push(line.into());
        self
    }
}

/// The person who is signed in.
#[derive(Clone, Debug)]
pub struct Me {
    /// Their name.
    pub name: String,
    /// Their address.
    pub email: String,
    /// The address of the round picture.
    pub avatar: Option<String>,
    /// Whether the address is proved to be theirs.
    pub verified: bool,
    /// Whether letters to others need a confirmed address first (R-ORG-6).
    pub must_confirm: bool,
}

impl Me {
    /// For the round picture, where there is none.
    pub fn initials(&self) -> Initials<'_> {
        Initials(&self.name)
    }
}

/// The bell counts no further.
pub const BELL_LIMIT: i64 = 99;

impl Cx {
    /// The number at the bell: "2", "99+"; nothing when there is nothing.
    pub fn bell_count(&self) -> Option<String> {
        match self.bell {
            0 => None,
            some => Some(up_to(some, BELL_LIMIT)),
        }
    }
}

/// The organization a page is about, and the visitor's role in it.
#[derive(Clone, Debug)]
pub struct Here {
    /// Its part of the address.
    pub slug: String,
    /// Its name.
    pub name: String,
    /// The visitor's role.
    pub role: Role,
}

impl Here {
    /// Whether the visitor may, for a link in the frame.
    pub fn may(&self, permission: Permission) -> bool {
        policy::allows(self.role, permission)
    }
}

/// A line of the organization switcher.
#[derive(Clone, Debug)]
pub struct OrgLink {
    /// Its part of the address.
    pub slug: String,
    /// Its name.
    pub name: String,
    /// The visitor's role there.
    pub role_label: String,
    /// Whether this is where they are.
    pub current: bool,
}

/// A duration in words: "7 days", "90 minutes".
pub fn in_words(duration: Duration) -> String {
    let seconds = duration.whole_seconds();
    let (count, unit) = [(86_400, "day"), (3600, "hour"), (60, "minute")]
        .into_iter()
        .find(|(length, _)| seconds >= *length && seconds % length == 0)
        .map_or((seconds, "second"), |(length, unit)| {
            (seconds / length, unit)
        });
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

/// A time to wait, short: "40 s", "3 min", "2 h".
pub fn wait(until: Timestamp, now: Timestamp) -> String {
    match retry_after(until, now) {
        seconds @ 0..=120 => format!("{seconds} s"),
        seconds @ 121..=7200 => format!("{} min", seconds.div_ceil(60)),
        seconds => format!("{} h", seconds.div_ceil(3600)),
    }
}

/// Whole seconds until `until`, at least one: the value of `Retry-After`.
pub fn retry_after(until: Timestamp, now: Timestamp) -> u64 {
    u64::try_from(until.since(now).whole_milliseconds())
        .unwrap_or(0)
        .div_ceil(1000)
        .max(1)
}

/// A badge of a delivery: icon and word, and the reason where there is one (UI rule 7).
#[derive(Clone, Debug)]
pub struct DeliveryView {
    /// The word.
    pub word: &'static str,
    /// Its colour.
    pub class: &'static str,
    /// Its icon.
    pub icon: &'static str,
    /// Why.
    pub reason: Option<String>,
}

impl DeliveryView {
    /// How a delivery in `state` shows (R-INV-9).
    pub fn new(state: DeliveryState, reason: Option<String>) -> Self {
        let (word, class, icon) = match state {
            DeliveryState::Sent => ("Sent", "ok", "circle-check"),
            DeliveryState::Failed => ("Failed", "err", "circle-alert"),
            DeliveryState::Queued | DeliveryState::Sending | DeliveryState::Handing => {
                ("Pending", "warn", "clock")
            }
            DeliveryState::Unknown => ("Unknown", "warn", "circle-question-mark"),
            DeliveryState::NotEmailed | DeliveryState::Dropped => {
                ("Not emailed", "neutral", "link")
            }
        };
        Self {
            word,
            class,
            icon,
            reason,
        }
    }
}

/// A badge of an invitation.
#[derive(Clone, Debug)]
pub struct StateView {
    /// The word.
    pub word: &'static str,
    /// Its colour.
    pub class: &'static str,
    /// Its icon.
    pub icon: &'static str,
}

impl StateView {
    /// How an invitation of this standing shows. One that was replaced had expired before.
    pub const fn new(standing: Standing) -> Self {
        let (word, class, icon) = match standing {
            Standing::Pending => ("Pending", "warn", "clock"),
            Standing::Accepted => ("Accepted", "ok", "circle-check"),
            Standing::Rejected => ("Rejected", "neutral", "circle-x"),
            Standing::Expired | Standing::Superseded => ("Expired", "neutral", "hourglass"),
            Standing::Revoked => ("Revoked", "neutral", "ban"),
        };
        Self { word, class, icon }
    }
}

/// Somebody who can help, by name and role.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Helper {
    /// Their name.
    pub name: String,
    /// Their role.
    pub role_label: String,
    /// Whether that is the visitor.
    pub you: bool,
}

/// A way on from a page that could not do what was asked.
#[derive(Clone, Debug)]
pub struct WayOn {
    /// The button's words.
    pub label: String,
    /// Where it leads.
    pub url: String,
    /// A form instead of a link.
    pub post: bool,
}

impl WayOn {
    /// A link.
    pub fn to(label: impl Into<String>, url: impl Into<String>) -> Self {
        Self {
            label: label.into(),
            url: url.into(),
            post: false,
        }
    }

    /// A form.
    pub fn post(label: impl Into<String>, url: impl Into<String>) -> Self {
        Self {
            post: true,
            ..Self::to(label, url)
        }
    }
}

/// An option of a filter.
#[derive(Clone, Debug)]
pub struct Choice {
    /// Its value in the address.
    pub value: &'static str,
    /// Its words.
    pub label: &'static str,
    /// Whether it is chosen.
    pub chosen: bool,
}

/// A radio card.
#[derive(Clone, Debug)]
pub struct RoleChoice {
    /// The form's value.
    pub value: &'static str,
    /// The role's name.
    pub label: &'static str,
    /// What it means.
    pub describe: &'static str,
    /// Whether it is chosen.
    pub checked: bool,
}

impl RoleChoice {
    /// The card of a role.
    pub fn new(role: Role, chosen: Role) -> Self {
        Self {
            value: role.as_str(),
            label: role.label(),
            describe: role.describe(),
            checked: role == chosen,
        }
    }
}

/// The cards of the roles that can be invited.
pub fn role_choices(chosen: Option<InvitableRole>) -> Vec<RoleChoice> {
    InvitableRole::ALL
        .into_iter()
        .map(|role| RoleChoice {
            value: role.as_str(),
            label: role.label(),
            describe: role.describe(),
            checked: chosen == Some(role),
        })
        .collect()
}

/// Which part of a list is shown, and the ways to the parts next to it.
#[derive(Clone, Debug)]
pub struct Pager {
    /// "Showing 1–25 of 312 members".
    pub line: String,
    /// The page before.
    pub previous: Option<String>,
    /// The page after.
    pub next: Option<String>,
}

/// How far a filtered list is counted: beyond it the page says "more than" (an exact count of a large organization
/// would cost more than the page).
pub const COUNT_LIMIT: i64 = 1000;

/// "Showing 1–50 of 312 members", "Showing 51–100 of more than 1,000 members".
pub fn result_line(
    first: i64,
    shown: i64,
    total: i64,
    exact: bool,
    one: &str,
    many: &str,
) -> String {
    let noun = if total == 1 && exact { one } else { many };
    let total = if exact {
        thousands(total)
    } else {
        format!("more than {}", thousands(COUNT_LIMIT))
    };
    if shown == 0 {
        return format!("Showing none of {total} {noun}");
    }
    format!(
        "Showing {}–{} of {total} {noun}",
        thousands(first),
        thousands(first + shown - 1)
    )
}

/// A count that stops at a limit: "12", "99+".
pub fn up_to(count: i64, limit: i64) -> String {
    if count > limit {
        format!("{}+", thousands(limit))
    } else {
        thousands(count)
    }
}

/// 12345 → "12,345".
pub fn thousands(number: i64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + 4);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// What a role can do, as sentences for the home page: the labels of the policy itself.
pub fn can_do(role: Role) -> Vec<String> {
    Permission::ALL
        .into_iter()
        .filter(|permission| policy::allows(role, *permission))
        .map(|permission| capitalized(permission.label()))
        .collect()
}

/// "Acme", "Acme and Zen", "Acme, Beta and Zen".
pub fn and(names: &[String]) -> String {
    match names {
        [most @ .., last] if !most.is_empty() => format!("{} and {last}", most.join(", ")),
        _ => names.concat(),
    }
}

/// First letter upper-case.
pub fn capitalized(text: &str) -> String {
    let mut chars = text.chars();
    chars
        .next()
        .map(|first| first.to_uppercase().chain(chars).collect())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_numbers() {
        assert_eq!(in_words(Duration::days(7)), "7 days");
        assert_eq!(in_words(Duration::hours(36)), "36 hours");
        assert_eq!(in_words(Duration::seconds(61)), "61 seconds");
        assert_eq!(thousands(1_234_567), "1,234,567");
        assert_eq!(
            result_line(51, 50, 312, true, "member", "members"),
            "Showing 51–100 of 312 members"
        );
        assert_eq!(
            result_line(1, 1, 1, true, "member", "members"),
            "Showing 1–1 of 1 member"
        );
    }

    #[test]
    fn waiting_is_rounded_up() {
        let now = Timestamp::from_micros(0);
        assert_eq!(wait(now.plus(Duration::milliseconds(39_001)), now), "40 s");
        assert_eq!(retry_after(now, now), 1);
        assert_eq!(wait(now.plus(Duration::hours(3)), now), "3 h");
    }
}
