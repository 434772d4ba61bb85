//! Inviting from a CSV file: read row by row, and then the same as the invite form (R-INV-13).

use super::invite::{EntryFault, invited_line};
use crate::{
    actions::{
        self,
        invitations::{Entry, Invite, Outcome},
    },
    domain::{
        email::{AddressFault, EmailAddress},
        invitation::MOST_AT_ONCE,
        policy::Permission,
        refusal::Refusal,
        role::{InvitableRole, Role},
        text::Note,
    },
    store,
    web::{
        answer, csv_file,
        csv_file::CsvRow,
        form::Post,
        page::{self, Banner, Cx},
        problem::{self, Problem},
        upload::{File, Upload},
        urls,
        visit::Visit,
    },
};
use actix_web::{HttpResponse, web::Path};
use askama::Template;
use std::collections::HashMap;

/// Largest file in bytes: a hundred rows fit many times over.
const LARGEST: usize = 64 * 1024;

/// Longest text of a file that a message repeats, in characters.
const QUOTED: usize = 60;

#[derive(Template)]
#[template(path = "team/import.html")]
struct ImportPage<'a> {
    cx: &'a Cx,
    valid_for: String,
    most: usize,
    faults: Vec<EntryFault>,
    message: String,
    message_error: Option<String>,
    link_only: bool,
}

impl<'a> ImportPage<'a> {
    fn empty(visit: &Visit, cx: &'a Cx) -> Self {
        Self {
            cx,
            valid_for: page::in_words(visit.app.means.rules.valid_for),
            most: MOST_AT_ONCE,
            faults: Vec::new(),
            message: String::new(),
            message_error: None,
            link_only: false,
        }
    }
}

/// `GET /orgs/{org}/settings/team/invite/import`
pub(in crate::web) async fn show(visit: Visit, org: Path<String>) -> Result<HttpResponse, Problem> {
    let (seen, ()) = visit
        .member(&org, |_, member| member.check(Permission::InviteMember))
        .await?;
    let cx = visit.frame(&seen, "team/import", "Invite from a file");
    answer::ok(&ImportPage::empty(&visit, &cx))
}

/// `POST /orgs/{org}/settings/team/invite/import`
pub(in crate::web) async fn import(
    post: Post<Upload<LARGEST>>,
    org: Path<String>,
) -> Result<HttpResponse, Problem> {
    // Who it is comes first: nobody's file is worth reading.
    post.check().await?;
    let note = Note::parse(post.form.field("message"));
    let (file, note) = match (Listed::read(&post.form.file), note) {
        (Ok(file), Ok(note)) => (file, note),
        (file, note) => {
            let found = Again {
                faults: file.err().map(EntryFault::of).into_iter().collect(),
                message: note.err().map(|fault| fault.to_string()),
                ..Again::default()
            };
            return again(&post, &org, found).await;
        }
    };
    let Listed {
        rows,
        entries,
        mut faults,
    } = file;
    let wanted = Invite {
        entries,
        note,
        link_only: !post.form.field("link_only").is_empty(),
    };
    let slug = org.clone();
    let inviting =
        post.act(move |run, actor| actions::invitations::invite(run, actor, &slug, &wanted));
    let results = store::unhurried(inviting).await?;
    let now = post.visit.app.now();
    let mut found = Again::default();
    for (row, one) in rows.into_iter().zip(&results) {
        if matches!(one.outcome, Outcome::Invited(_)) {
            found.invited += 1;
            continue;
        }
        if let Outcome::OverLimit(refusal) = &one.outcome {
            found.limit.get_or_insert_with(|| refusal.clone());
        }
        let mut fault = EntryFault::new(one, &org, now);
        fault.text = format!("Row {row}: {}", fault.text);
        faults.push((row, fault));
    }
    if faults.is_empty() {
        let banner = Banner::done(invited_line(found.invited));
        return Ok(post
            .visit
            .see_other_saying(urls::invitations(&org), &banner));
    }
    faults.sort_by_key(|(row, _)| *row);
    found.faults = faults.into_iter().map(|(_, fault)| fault).collect();
    found.limit = found.limit.filter(|_| found.invited == 0);
    again(&post, &org, found).await
}

/// What a file says: who is to be invited, from which row, and which rows cannot be.
#[derive(Default)]
struct Listed {
    rows: Vec<usize>,
    entries: Vec<Entry>,
    faults: Vec<(usize, EntryFault)>,
}

impl Listed {
    /// Reads a file that was sent.
    ///
    /// # Errors
    /// A sentence, when nothing of it can be used.
    fn read(file: &File) -> Result<Self, String> {
        let bytes = match file {
            File::Missing => return Err("Choose a CSV file that isn't empty.".to_owned()),
            File::TooLarge => {
                return Err(format!(
                    "The file is too large. Send up to {} kB.",
                    LARGEST / 1024
                ));
            }
            File::Bytes(bytes) => bytes,
        };
        let mut rows = csv_file::read(bytes)?;
        let columns = Columns::take(&mut rows)?;
        if rows.is_empty() {
            return Err("There are no addresses in this file.".to_owned());
        }
        if rows.len() > MOST_AT_ONCE {
            return Err(format!(
                "This file has {} rows. Send up to {MOST_AT_ONCE} at once.",
                rows.len()
            ));
        }
        Ok(Self::of(&rows, &columns))
    }

    fn of(rows: &[CsvRow], columns: &Columns) -> Self {
        let mut listed = Self::default();
        let mut known: HashMap<String, (usize, InvitableRole)> = HashMap::new();
        for row in rows {
            let (email, role) = (columns.email(row), columns.role(row));
            let read = email
                .map_err(|fault| format!("{} {fault}", quoted(columns.text(row))))
                .and_then(|email| Ok((role?, email)));
            let (role, email) = match read {
                Ok(both) => both,
                Err(text) => {
                    listed.fault(row.number, &text);
                    continue;
                }
            };
            match known.get(email.key()) {
                None => {
                    known.insert(email.key().to_owned(), (row.number, role));
                    listed.rows.push(row.number);
                    listed.entries.push(Entry {
                        email: Ok(email),
                        role,
                    });
                }
                Some((_, earlier)) if *earlier == role => {}
                Some((first, earlier)) => {
                    let text = format!(
                        "{email} is in row {first} too, as {}. That row counts.",
                        earlier.label()
                    );
                    listed.fault(row.number, &text);
                }
            }
        }
        listed
    }

    fn fault(&mut self, row: usize, text: &str) {
        let fault = EntryFault::of(format!("Row {row}: {text}"));
        self.faults.push((row, fault));
    }
}

/// Where a file has what.
struct Columns {
    email: usize,
    role: usize,
}

impl Columns {
    /// Reads and takes away the row of headings, if the first row is one. Without it: address, role.
    ///
    /// # Errors
    /// A sentence, when the headings lack one that is needed.
    fn take(rows: &mut Vec<CsvRow>) -> Result<Self, String> {
        let Some(first) = rows.first() else {
            return Ok(Self { email: 0, role: 1 });
        };
        let find = |names: &[&str]| {
            first
                .cells
                .iter()
                .position(|cell| names.contains(&cell.to_lowercase().as_str()))
        };
        let email = find(&["email", "e-mail", "email address", "e-mail address"]);
        let role = find(&["role"]);
        match (email, role) {
            (None, None) => Ok(Self { email: 0, role: 1 }),
            (Some(email), Some(role)) => {
                rows.remove(0);
                Ok(Self { email, role })
            }
            (None, Some(_)) => Err(missing("email")),
            (Some(_), None) => Err(missing("role")),
        }
    }

    fn text<'a>(&self, row: &'a CsvRow) -> &'a str {
        row.cells.get(self.email).map_or("", String::as_str)
    }

    fn email(&self, row: &CsvRow) -> Result<EmailAddress, AddressFault> {
        EmailAddress::parse(self.text(row))
    }

    fn role(&self, row: &CsvRow) -> Result<InvitableRole, String> {
        let text = row.cells.get(self.role).map_or("", String::as_str);
        let word = text.to_lowercase();
        match (InvitableRole::parse(&word), Role::parse(&word)) {
            (Some(role), _) => Ok(role),
            (None, Some(_)) => Err(
                "nobody can be invited as Owner. Ownership is transferred separately.".to_owned(),
            ),
            (None, None) if text.is_empty() => {
                Err("the role is missing. Write Admin, Member or Viewer.".to_owned())
            }
            (None, None) => Err(format!(
                "“{}” is not a role. Write Admin, Member or Viewer.",
                quoted(text)
            )),
        }
    }
}

fn missing(column: &str) -> String {
    format!("The first row has no column “{column}”. Name both: email, role.")
}

/// A text of a file as a message repeats it: on one line, and not all of a long one.
fn quoted(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(QUOTED) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
        None if line.is_empty() => "The address".to_owned(),
        None => line,
    }
}

/// What the form is shown again with.
#[derive(Default)]
struct Again {
    faults: Vec<EntryFault>,
    message: Option<String>,
    /// How many were invited.
    invited: usize,
    /// The first limit that was met, when nobody was invited.
    limit: Option<Refusal>,
}

/// The form again: who was invited, and who was not and why.
async fn again(
    post: &Post<Upload<LARGEST>>,
    slug: &str,
    found: Again,
) -> Result<HttpResponse, Problem> {
    let (seen, ()) = post
        .visit
        .member(slug, |_, member| member.check(Permission::InviteMember))
        .await?;
    let mut cx = post.visit.frame(&seen, "team/import", "Invite from a file");
    cx.banner = (found.invited > 0).then(|| Banner::done(invited_line(found.invited)));
    let explained = found
        .limit
        .map(|refusal| problem::explain(&refusal.into(), Some(seen.now)));
    let form = ImportPage {
        faults: found.faults,
        message: post.form.field("message").to_owned(),
        message_error: found.message,
        link_only: !post.form.field("link_only").is_empty(),
        ..ImportPage::empty(&post.visit, &cx)
    };
    answer::again(&form, explained.as_ref())
}
