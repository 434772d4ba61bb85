//! Inviting from a CSV file (R-INV-13): whatever a spreadsheet writes, the same path as the form.

use crate::{
    on_both,
    support::{
        people::{Answer, Person},
        team::{Acme, Team},
    },
};

use time::ext::NumericalDuration as _;

const IMPORT: &str = "/orgs/acme/settings/team/invite/import";
const LIST: &str = "/orgs/acme/settings/team/invitations";

/// Uploads a file, as the page of the form does it.
fn import<'a>(person: &'a Person, file: &[u8], more: &[(&str, &str)]) -> Answer<'a> {
    let page = person.get(IMPORT);
    let token = page.csrf();
    let mut fields = vec![("csrf", token.as_str())];
    fields.extend_from_slice(more);
    person.upload(IMPORT, &fields, ("file", "people.csv", file))
}

fn pending(acme: &Acme) -> i64 {
    acme.count("invitations WHERE state = 'pending'")
}

fn role(acme: &Acme, email: &str, role: &str) -> bool {
    acme.count(&format!(
        "invitations WHERE state = 'pending' AND email_key = '{email}' AND role = '{role}'"
    )) == 1
}

on_both! {
    /// Each row with its own role; letters, events and lists as with the form.
    fn a_file_invites(kind) {
        let acme = Team::acme(kind);
        let file = b"email,role\nada@example.test,admin\nGrace <grace@example.test>,Member\n\"lin@example.test\",VIEWER\n";
        import(&acme.adam, file, &[("message", "Hello from a file")]).expect(303).leads_to(LIST);
        acme.adam.get(LIST).shows("Invited 3 people.").shows("lin@example.test");
        assert!(role(&acme, "ada@example.test", "admin"));
        assert!(role(&acme, "grace@example.test", "member"));
        assert!(role(&acme, "lin@example.test", "viewer"));
        assert_eq!(acme.count("audit_events WHERE verb = 'invite' AND target LIKE '%@example.test' AND actor = 'Adam Admin'"), 3);
        let letters = acme.letters_to("grace@example.test");
        assert_eq!(letters.len(), 1);
        assert!(letters[0].text.contains("Hello from a file"));
        acme.visitor().join(&acme.link_for("lin@example.test"), "Lin Clark");
        acme.adam.get("/orgs/acme/settings/team").shows("Lin Clark");
    }

    /// Without a letter where that was chosen.
    fn link_only_sends_no_letter(kind) {
        let acme = Team::acme(kind);
        import(&acme.adam, b"ada@example.test,viewer\n", &[("link_only", "yes")]).expect(303);
        assert_eq!(acme.letters_to("ada@example.test").len(), 0);
        assert_eq!(acme.count("deliveries WHERE state = 'not_emailed'"), 1);
    }

    /// Byte order mark, line ends, separators, quotes, order of columns, headings, empty rows.
    fn every_spreadsheet_is_understood(kind) {
        let acme = Team::acme(kind);
        let files: [&[u8]; 11] = [
            b"ada@example.test,admin\r\nlin@example.test,viewer\r\n",
            b"ada@example.test,admin\nlin@example.test,viewer",
            b"\xef\xbb\xbfemail,role\r\nada@example.test,admin\r\nlin@example.test,viewer\r\n",
            b"\xef\xbb\xbfE-Mail;Role\r\nada@example.test;Admin\r\nlin@example.test;Viewer\r\n",
            b"role,email\nadmin,ada@example.test\nviewer,lin@example.test\n",
            b"Name;Role;Email;Note\nAda;admin;ada@example.test;x\nLin;viewer;lin@example.test;\n",
            b"\"email\",\"role\"\n\"Ada, Countess <ada@example.test>\",\"admin\"\n\"lin@example.test\",\"viewer\"\n",
            b"email\trole\rada@example.test\tadmin\rlin@example.test\tviewer\r",
            b"sep=;\r\nemail;role\r\nada@example.test;admin\r\nlin@example.test;viewer\r\n",
            b"\n\n ada@example.test , admin \n,\n\nlin@example.test,viewer\n,,\n",
            b"ada@example.test,admin\nADA@example.test,Admin\nlin@example.test,viewer\nada@example.test,admin",
        ];
        for file in files {
            acme.advance(1.seconds());
            import(&acme.olivia, file, &[("link_only", "yes")]).expect(303);
            assert_eq!(pending(&acme), 2, "{:?}", String::from_utf8_lossy(file));
            assert!(role(&acme, "ada@example.test", "admin") && role(&acme, "lin@example.test", "viewer"));
            for email in ["ada@example.test", "lin@example.test"] {
                acme.olivia.revoke(email).expect(303);
            }
        }
    }

    /// Rows that cannot be invited are named with number and fault; the others are.
    fn bad_rows_are_named_and_good_ones_invited(kind) {
        let acme = Team::acme(kind);
        acme.adam.invite("lin@example.test", "member");
        let file = b"email,role\n\
            ada@example.test,admin\n\
            boss@example.test,owner\n\
            grace@example.test,chief\n\
            nonsense,member\n\
            ,member\n\
            tim@example.test\n\
            ada@example.test,viewer\n\
            ada@example.test,admin\n\
            mia@example.test,viewer\n\
            lin@example.test,viewer\n\
            lin@example.test,member\n\
            noor@example.test,viewer\n";
        let page = import(&acme.adam, file, &[("message", "Still here")]);
        page.expect(422)
            .shows("Invited 2 people.")
            .shows("Row 3: nobody can be invited as Owner.")
            .shows("Row 4: “chief” is not a role. Write Admin, Member or Viewer.")
            .shows("Row 5: nonsense is not a complete email address")
            .shows("Row 6: The address is missing")
            .shows("Row 7: the role is missing.")
            .shows("Row 8: ada@example.test is in row 2 too, as Admin. That row counts.")
            .shows("Row 10: mia@example.test is already a member (Mia Member)")
            .shows("Row 11: lin@example.test already has an invitation as Member")
            .shows("Row 12: lin@example.test is in row 11 too, as Viewer. That row counts.")
            .lacks("Row 9:")
            .shows("Still here");
        assert!(page.body.contains("<title>Error: "));
        assert!(page.body.contains("role=\"alert\""));
        let change = format!("{}/role", acme.adam.invitation_url("lin@example.test"));
        assert!(page.urls_containing("/role").contains(&change), "a way to change the role");
        assert_eq!(pending(&acme), 3);
        assert!(role(&acme, "ada@example.test", "admin") && role(&acme, "noor@example.test", "viewer"));
        assert!(role(&acme, "lin@example.test", "member"));
        assert_eq!(acme.count("invitations WHERE role NOT IN ('admin', 'member', 'viewer')"), 0);
    }

    /// What cannot be used at all invites nobody and says why.
    fn a_file_that_cannot_be_used_invites_nobody(kind) {
        let acme = Team::acme(kind);
        let before = acme.facts();
        let many = |rows: usize| (0..rows).map(|n| format!("n{n}@example.test,viewer\n")).collect::<String>();
        let too_many = many(101);
        let large = vec![b'x'; 64 * 1024 + 1];
        let not_utf8 = "This isn't a CSV file in UTF-8.";
        let files: [(&[u8], &str); 12] = [
            (b"", "Choose a CSV file that isn't empty."),
            (b"\n \n,,\n", "There are no addresses in this file."),
            (b"\xef\xbb\xbf", "There are no addresses in this file."),
            (b"email,role\r\n", "There are no addresses in this file."),
            (b"email,name\nada@example.test,Ada\n", "The first row has no column “role”."),
            (b"email\nada@example.test\n", "The first row has no column “role”."),
            (b"name,role\nAda,admin\n", "The first row has no column “email”."),
            (b"ada@example.test,admin\nlin\xe9@example.test,viewer\n", not_utf8),
            (b"\xff\xfea\0d\0a\0@\0", not_utf8),
            (b"ada@example.test,admin\0\n", not_utf8),
            (too_many.as_bytes(), "This file has 101 rows. Send up to 100 at once."),
            (&large, "The file is too large. Send up to 64 kB."),
        ];
        for (file, says) in files {
            let page = import(&acme.adam, file, &[]);
            page.expect(422).shows(says).shows("Please check what you entered.");
            assert_eq!(acme.facts(), before, "{says}");
        }
        let page = import(&acme.adam, b"ada@example.test,admin\n", &[("message", &"x".repeat(501))]);
        page.expect(422).shows("Use at most 500 characters.");
        // No part for the file at all.
        let token = acme.adam.get(IMPORT).csrf();
        acme.adam.upload(IMPORT, &[("csrf", &token)], ("other", "", b"")).expect(422);
        assert_eq!(acme.facts(), before);

        import(&acme.adam, format!("email,role\n{}", many(100)).as_bytes(), &[("link_only", "yes")]).expect(303);
        assert_eq!(pending(&acme), 100);
    }

    /// An unclosed quote takes the rest of the file: one bad row, shown short.
    fn long_and_broken_cells_are_shown_short(kind) {
        let acme = Team::acme(kind);
        let file = format!("\"{},admin\nlin@example.test,viewer\n", "x".repeat(5000));
        let page = import(&acme.adam, file.as_bytes(), &[]);
        page.expect(422).shows("Row 1: xxx");
        assert!(!page.body.contains(&"x".repeat(200)));
        let page = import(&acme.adam, b"<script>alert(1)</script>@example.test,admin\nlin@example.test,<b>admin</b>\n", &[]);
        page.expect(422);
        assert!(!page.body.contains("<script>alert") && !page.body.contains("<b>admin"));
        assert_eq!(pending(&acme), 0);
    }

    /// Only who may invite, from a form of ours.
    fn only_who_may_invite_imports(kind) {
        let acme = Team::acme(kind);
        let file = b"ada@example.test,viewer\n";
        let eve = acme.sign_up("Eve Else", "eve@example.test", "Else");
        for (person, status) in [(&acme.mia, 403), (&acme.vic, 403), (&eve, 404)] {
            person.get(IMPORT).expect(status);
            let token = person.get("/").csrf();
            person.upload(IMPORT, &[("csrf", &token)], ("file", "a.csv", file)).expect(status);
        }
        acme.visitor().get(IMPORT).expect(303);
        acme.adam.upload(IMPORT, &[], ("file", "a.csv", file)).expect(403);
        acme.adam.upload(IMPORT, &[("csrf", "nonsense")], ("file", "a.csv", file)).expect(403);
        assert_eq!(pending(&acme), 0);
        for page in ["/orgs/acme/settings/team/invite", "/orgs/acme/settings/team"] {
            let page = acme.adam.get(page);
            page.shows("Upload a CSV file");
            assert!(!page.urls_containing(IMPORT).is_empty());
        }
    }

    /// R-INV-8 holds for files: over a limit is said, row by row.
    fn limits_hold_for_files(kind) {
        let mut setup = crate::support::team::Setup::default();
        setup.rules.mail.per_person = 5;
        let acme = Team::acme_with(kind, setup);
        // Olivia has sent three.
        let file = b"a@example.test,viewer\nb@example.test,viewer\nc@example.test,viewer\nd@example.test,viewer\n";
        let page = import(&acme.olivia, file, &[]);
        page.expect(422).shows("Invited 2 people.").shows("Row 3: c@example.test:").shows("Row 4: d@example.test:");
        assert_eq!(pending(&acme), 2);
        let page = import(&acme.olivia, b"e@example.test,viewer\n", &[]);
        page.expect(429).shows("Row 1: e@example.test:");
        assert!(page.retry_after() > 0);
    }
}

impl Acme {
    fn facts(&self) -> String {
        crate::support::facts::facts(&self.db)
    }
}
