//! The plan of DESIGN.md, enforced on the sources.
//!
//! Nothing is compiled here: each rule is a pure function over `(path, text)` that returns the
//! lines that break it. A rule has two tests: one holds it against the repository, the other
//! shows with a bad example that it can fail.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

// ---------------------------------------------------------------------------------------------
// The plan
// ---------------------------------------------------------------------------------------------

/// Every top module and the modules of ours it may import. `*` is anything.
const LAYERS: &[(&str, &[&str])] = &[
    ("main", &["*"]),
    ("lib", &["*"]),
    ("server", &["*"]),
    ("commands", &["*"]),
    ("config", &["*"]),
    ("opening", &["config", "store"]),
    (
        "web",
        &[
            "domain", "store", "actions", "clock", "entropy", "password", "picture", "link",
            "token", "metrics", "turns",
        ],
    ),
    (
        "actions",
        &[
            "domain", "store", "clock", "entropy", "password", "link", "token",
        ],
    ),
    (
        "mail",
        &[
            "domain", "store", "clock", "entropy", "password", "link", "token", "metrics",
        ],
    ),
    ("store", &["domain"]),
    ("domain", &[]),
    ("clock", &[]),
    ("entropy", &[]),
    ("password", &["turns"]),
    ("picture", &["turns"]),
    ("turns", &[]),
    ("token", &[]),
    ("link", &[]),
    ("metrics", &[]),
];

/// Crates of others that only some modules may name. A trailing `*` stands for any ending.
const OUTSIDE: &[(&str, &[&str])] = &[
    ("diesel*", &["store"]),
    ("r2d2", &["store"]),
    ("libsqlite3_sys", &["store"]),
    ("pq_sys", &["store"]),
    ("actix*", &["web", "server", "commands"]),
    ("tracing_actix_web", &["web", "server"]),
    ("lettre", &["mail"]),
    ("askama", &["web", "mail"]),
    ("argon2", &["password"]),
    ("image", &["picture"]),
    ("rand", &["entropy"]),
    ("csv", &["web"]),
    ("prometheus_client*", &["metrics"]),
];

/// How the names of functions begin that change rows.
const WRITING: &[&str] = &[
    "insert", "update", "delete", "apply", "append", "lock", "set_", "add_", "remove_", "close_",
    "take_", "rename",
];

/// The folders whose templates are screens.
const AREAS: &[&str] = &["account", "organization", "team", "invitation", "legal"];

// ---------------------------------------------------------------------------------------------
// The rules, held against the repository
// ---------------------------------------------------------------------------------------------

#[test]
fn imports_point_down() {
    hold(
        &rust_in(&["src"]),
        imports,
        "Imports only point down (DESIGN.md, “Import rule”). Move the code to the layer that may \
         know both, or hand the fact over as an argument.",
    );
}

#[test]
fn outside_crates_stay_in_their_layer() {
    hold(
        &rust_in(&["src"]),
        outside_crates,
        "Each outside crate has one home (DESIGN.md, “Outside crates too”). Put a function into \
         that module and call it.",
    );
}

#[test]
fn only_config_reads_the_environment() {
    hold(
        &rust_in(&["src"]),
        environment,
        "Make it a setting of src/config/, with its default and its --help, and hand it over.",
    );
}

#[test]
fn web_only_reads_the_store() {
    hold(
        &rust_in(&["src/web"]),
        web_writes,
        "A screen changes nothing itself: write a function in src/actions and call it through \
         app.act(). Import store modules by name, so that this test can see what is called.",
    );
}

#[test]
fn every_module_says_what_it_is_for() {
    hold(
        &rust_in(&["src", "tests", "benches", "build.rs"]),
        module_comment,
        "Begin the file with `//!` and one sentence for a newcomer.",
    );
}

#[test]
fn nothing_is_left_undone_or_silenced() {
    hold(
        &rust_in(&["src", "tests", "benches", "build.rs"]),
        unfinished,
        "Finish it. A lint that is wrong in one place gets #[expect(lint, reason = \"…\")] there.",
    );
}

#[test]
fn store_asks_diesel_for_one_row_with_get_result() {
    hold(
        &rust_in(&["src/store"]),
        diesel_first,
        "`.first(conn)` adds a LIMIT whose text defeats the statement cache on MultiConnection \
         (SHAPES.md F1). Write `.get_result(conn)`.",
    );
}

#[test]
fn every_screen_has_its_handler_at_the_same_path() {
    let templates = files_in("templates", "html");
    let handlers: Vec<Template> = rust_in(&["src"])
        .iter()
        .flat_map(|(path, text)| templates_named(path, text))
        .collect();
    assert!(!templates.is_empty(), "no templates found");
    let paths: Vec<&str> = templates.iter().map(|(path, _)| path.as_str()).collect();
    report(
        screens(&paths, &handlers),
        "templates/team/members.html belongs to the struct with #[template(path = \
         \"team/members.html\")] in src/web/team/. Letters live in templates/mail and src/mail.",
    );
}

#[test]
fn every_screen_names_itself() {
    let advice = "data-screen is the template's own path without .html, so that a page in the \
                  browser leads to its two files.";
    let templates = files_in("templates", "html");
    hold(&templates, data_screen, advice);
    let paths: Vec<&str> = templates.iter().map(|(path, _)| path.as_str()).collect();
    let breaches = rust_in(&["src/web"])
        .iter()
        .flat_map(|(path, text)| unknown_screens(path, text, &paths))
        .collect();
    report(breaches, advice);
}

#[test]
fn every_partial_is_used() {
    let templates = files_in("templates", "html");
    let handlers: Vec<Template> = rust_in(&["src"])
        .iter()
        .flat_map(|(path, text)| templates_named(path, text))
        .collect();
    report(
        unused_partials(&templates, &handlers),
        "Include the partial from a template, or delete it.",
    );
}

#[test]
fn templates_escape_everything() {
    let mut templates = files_in("templates", "html");
    templates.extend(files_in("templates", "txt"));
    hold(
        &templates,
        unescaped,
        "Nothing is put into a page unescaped. Use a macro or a partial where markup is needed.",
    );
}

#[test]
fn templates_obey_the_content_security_policy() {
    hold(
        &files_in("templates", "html"),
        inline_code,
        "The policy forbids inline style and script: the browser would drop it. Use a class in \
         static/app.css or a module in static/.",
    );
}

#[test]
fn both_databases_have_the_same_migrations() {
    let sqlite = folders_in("migrations/sqlite");
    let postgres = folders_in("migrations/postgres");
    assert!(!sqlite.is_empty(), "no migrations found");
    report(
        unpaired(&sqlite, &postgres),
        "Every migration exists for both databases, under the same name.",
    );
}

// ---------------------------------------------------------------------------------------------
// The rules, shown to fail
// ---------------------------------------------------------------------------------------------

#[test]
fn imports_point_down_can_fail() {
    let bad = "//! x\nuse crate::{domain::role::Role, web::{page, form}};\n";
    assert_eq!(
        lines(&imports("src/actions/members.rs", bad)),
        [2, 2],
        "a tree of imports"
    );
    let inline = "fn f() {\n    crate::actions::members::remove();\n}\n";
    assert_eq!(lines(&imports("src/store/memberships.rs", inline)), [2]);
    let upwards = "use super::super::store::Db;\n";
    assert_eq!(lines(&imports("src/domain/role.rs", upwards)), [1]);
    let between_leaves = "use crate::clock::Clock;";
    assert_eq!(lines(&imports("src/entropy.rs", between_leaves)), [1]);
    let unknown_file = "use crate::domain::Role;";
    assert_eq!(lines(&imports("src/helpers/mod.rs", unknown_file)), [1]);
    let unknown_import = "use crate::Role;";
    assert_eq!(lines(&imports("src/domain/policy.rs", unknown_import)), [1]);

    let good = "//! crate::web::x\n// use crate::web;\nuse crate::domain::role::Role;\n\
                use super::Run;\nconst S: &str = \"crate::web::page\";\n\
                mod tests { use super::*; use super::super::members; }\n";
    assert!(imports("src/actions/members.rs", good).is_empty());
    assert!(imports("src/main.rs", "use roster::web::app::App;").is_empty());
}

#[test]
fn outside_crates_stay_in_their_layer_can_fail() {
    let bad = "use std::fmt;\nuse diesel::prelude::*;\n#[derive(askama::Template)]\nstruct X;\n";
    assert_eq!(lines(&outside_crates("src/domain/role.rs", bad)), [2, 3]);
    let actix = "extern crate actix_session;\nfn f(r: actix_web::HttpRequest) {}\n";
    assert_eq!(
        lines(&outside_crates("src/actions/members.rs", actix)),
        [1, 2]
    );
    assert_eq!(
        lines(&outside_crates("src/link.rs", "use ::rand::Rng;")),
        [1]
    );
    assert!(outside_crates("src/store/mod.rs", bad.split_once("#[").unwrap().0).is_empty());
    let own_function = "fn f() { let argon2 = 1; self.rand(argon2); }";
    assert!(outside_crates("src/domain/role.rs", own_function).is_empty());
}

#[test]
fn only_config_reads_the_environment_can_fail() {
    let bad = "use std::{fmt, env};\nfn f() {\n    std::env::var(\"X\");\n}\n";
    assert_eq!(lines(&environment("src/server.rs", bad)), [1, 3]);
    assert_eq!(lines(&environment("src/web/config.rs", bad)), [1, 3]);
    assert_eq!(lines(&environment("src/configured.rs", bad)), [1, 3]);
    assert!(environment("src/config/mod.rs", bad).is_empty());
    assert!(environment("src/config/flags.rs", bad).is_empty());
}

#[test]
fn web_only_reads_the_store_can_fail() {
    let bad = "use crate::store::{self, invitations, memberships as rows};\n\
               use crate::actions::accounts;\n\
               fn f() {\n\
               store::sessions::delete_all(db);\n\
               invitations::apply(db);\n\
               rows::set_role(db);\n\
               accounts::update(run);\n\
               invitations::find(db);\n\
               app.db.write(|run| ());\n\
               }\n\
               use crate::store::accounts::insert;\n\
               use crate::store::accounts::*;\n\
               use crate::store::write;\n";
    assert_eq!(
        lines(&web_writes("src/web/team/invitations.rs", bad)),
        [4, 5, 6, 9, 11, 12, 13]
    );
    let app = "use crate::store;\nfn act() { db.write(f); store::write(db, f) }\n";
    assert!(web_writes("src/web/app.rs", app).is_empty());
}

#[test]
fn every_module_says_what_it_is_for_can_fail() {
    assert_eq!(lines(&module_comment("src/x.rs", "// x\nfn f() {}\n")), [1]);
    assert_eq!(lines(&module_comment("src/x.rs", "//!\nfn f() {}\n")), [1]);
    assert!(module_comment("src/x.rs", "//! Roles.\n").is_empty());
}

#[test]
fn nothing_is_left_undone_or_silenced_can_fail() {
    let bad = "#![allow(dead_code)]\n#[cfg_attr(test, allow(unused))]\n#[ignore = \"slow\"]\n\
               fn f() { todo!() }\nfn g() { unimplemented!(\"x\") }\nfn h() { dbg!(1); }\n";
    assert_eq!(lines(&unfinished("src/x.rs", bad)), [1, 2, 3, 4, 5, 6]);
    let good = "// todo!()\nfn allow(x: u8) {}\nfn f() { policy::allow(1); \"dbg!\"; todo() }\n";
    assert!(unfinished("src/x.rs", good).is_empty());
}

#[test]
fn store_asks_diesel_for_one_row_with_get_result_can_fail() {
    let bad = "let a = accounts\n    .first(db)?;\nlet b = q.first::<Row>(db)?;\nc.first();\n";
    assert_eq!(lines(&diesel_first("src/store/accounts.rs", bad)), [2, 3]);
}

#[test]
fn every_screen_has_its_handler_at_the_same_path_can_fail() {
    let source = "#[derive(Template)]\n#[template(path = \"team/members.html\")]\nstruct A;\n\
                  #[template(\n    blocks = [\"rows\"],\n    path = \"account/show.html\"\n)]\n\
                  struct B;\n// #[template(path = \"team/comment.html\")]\n";
    let handlers = templates_named("src/web/team/members.rs", source);
    assert_eq!(
        handlers
            .iter()
            .map(|t| (t.line, t.path.as_str()))
            .collect::<Vec<_>>(),
        [(2, "team/members.html"), (4, "account/show.html")]
    );
    let found = screens(
        &[
            "templates/team/members.html",
            "templates/team/_rows.html",
            "templates/team/roles.html",
            "templates/account/show.html",
        ],
        &handlers,
    );
    let found = found.join("\n");
    assert!(
        found.contains("templates/team/roles.html:1"),
        "no handler: {found}"
    );
    assert!(
        found.contains("src/web/team/members.rs:4"),
        "wrong area: {found}"
    );
    assert!(!found.contains("team/members.html"), "{found}");
    assert!(!found.contains("_rows"), "{found}");

    let missing = screens(&[], &handlers).join("\n");
    assert!(missing.contains("does not exist"), "{missing}");
    let letter = templates_named("src/web/team/a.rs", "#[template(path = \"mail/a.html\")]");
    assert_eq!(screens(&["templates/mail/a.html"], &letter).len(), 1);
}

#[test]
fn every_screen_names_itself_can_fail() {
    let bad = "<p>\n<main data-screen=\"team/roles\">";
    assert_eq!(lines(&data_screen("templates/team/members.html", bad)), [2]);
    let block = "{% block screen %}team/roles{% endblock %}";
    assert_eq!(
        lines(&data_screen("templates/team/members.html", block)),
        [1]
    );
    let base = "<main data-screen=\"{% block screen %}{% endblock %}\">";
    assert!(data_screen("templates/layout/base.html", base).is_empty());
    assert!(data_screen("templates/team/roles.html", bad).is_empty());

    let handler = "let a = page(\"team/roles\");\n// \"team/gone\"\nlet b = page(\"team/gone\");\n\
                   let c = (\"team/roles.html\", \"/orgs/team/gone\");\n";
    let known = ["templates/team/roles.html"];
    let found = unknown_screens("src/web/team/roles.rs", handler, &known);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("src/web/team/roles.rs:3"), "{found:?}");
}

#[test]
fn every_partial_is_used_can_fail() {
    let file = |path: &str, text: &str| (path.to_owned(), text.to_owned());
    let templates = [
        file(
            "templates/team/members.html",
            "{% include \"team/_rows.html\" %}{# {% include \"team/_old.html\" %} #}",
        ),
        file("templates/team/_rows.html", ""),
        file("templates/team/_old.html", ""),
        file("templates/team/_alone.html", ""),
    ];
    let alone = templates_named(
        "src/web/team/a.rs",
        "#[template(path=\"team/_alone.html\")]",
    );
    let found = unused_partials(&templates, &alone);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("_old.html"));
}

#[test]
fn templates_escape_everything_can_fail() {
    let bad = "{{ a|safe }}\n{{ b | safe }}\n{# c|safe #}\n{{ d|safest }}\n{{ e|escape(\"none\") }}\n\
               {% autoescape false %}\n";
    assert_eq!(
        lines(&unescaped("templates/team/members.html", bad)),
        [1, 2, 5, 6]
    );
}

#[test]
fn templates_obey_the_content_security_policy_can_fail() {
    let bad = "<p style=\"color: red\">\n<p\nonclick='x()'>\n<script>x()</script>\n<style>p {}</style>\n\
               <script type=\"module\" src=\"/a.js\"></script>\n<p class=\"style\">on=\n\
               {% call button(text, only=\"x\") %}\n<a href=\"javascript:x()\">\n";
    assert_eq!(
        lines(&inline_code("templates/team/members.html", bad)),
        [1, 3, 4, 5, 9]
    );
    // Mail programs know neither style sheets nor scripts.
    assert_eq!(
        lines(&inline_code("templates/mail/invitation.html", bad)),
        [3, 4, 6, 9]
    );
}

#[test]
fn both_databases_have_the_same_migrations_can_fail() {
    let set = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect();
    let found = unpaired(&set(&["1_a", "2_b"]), &set(&["1_a", "3_c"]));
    assert_eq!(found.len(), 2, "{found:?}");
}

// ---------------------------------------------------------------------------------------------
// The rules
// ---------------------------------------------------------------------------------------------

/// A line that breaks a rule, and what is wrong with it.
type Breach = (usize, String);

fn imports(path: &str, text: &str) -> Vec<Breach> {
    let from = top_module(path);
    let Some((_, allowed)) = LAYERS.iter().find(|(name, _)| *name == from) else {
        return vec![(1, format!("the module `{from}` is not in the plan"))];
    };
    if allowed.contains(&"*") {
        return Vec::new();
    }
    let mut breaches = Vec::new();
    for found in paths(text) {
        let Some(target) = resolve(path, &found) else {
            continue;
        };
        let Some(to) = target.first() else { continue };
        if *to == from || to == "*" || allowed.contains(&to.as_str()) {
            continue;
        }
        let target = target.join("::");
        breaches.push((
            found.line,
            if LAYERS.iter().any(|(name, _)| name == to) {
                format!("`{from}` may not import `{to}` (crate::{target})")
            } else {
                format!("crate::{target}: name the module it lives in")
            },
        ));
    }
    breaches
}

fn outside_crates(path: &str, text: &str) -> Vec<Breach> {
    let here = top_module(path);
    let mut breaches = Vec::new();
    for found in paths(text) {
        let Some(first) = found.segments.first() else {
            continue;
        };
        let Some((name, homes)) = OUTSIDE.iter().find(|(name, _)| is_crate(name, first)) else {
            continue;
        };
        if !homes.contains(&here.as_str()) {
            let name = name.trim_end_matches('*');
            let homes = homes.join("` and `");
            breaches.push((
                found.line,
                format!("`{name}` belongs in `{homes}`, not in `{here}`"),
            ));
        }
    }
    breaches
}

fn is_crate(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => name == start || name.starts_with(&format!("{start}_")),
        None => name == pattern,
    }
}

fn environment(path: &str, text: &str) -> Vec<Breach> {
    if top_module(path) == "config" {
        return Vec::new();
    }
    paths(text)
        .into_iter()
        .filter(|found| found.segments.starts_with(&["std".into(), "env".into()]))
        .map(|found| (found.line, "reads the environment".to_owned()))
        .collect()
}

fn web_writes(path: &str, text: &str) -> Vec<Breach> {
    let may_write = path == "src/web/app.rs";
    let all = paths(text);
    // What the imports of this file call the modules of `store`.
    let mut names: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for found in all.iter().filter(|found| found.imported) {
        if let (Some(name), Some(target)) = (found.name(), resolve(path, found)) {
            names.insert(name, target);
        }
    }
    let mut breaches = Vec::new();
    for found in &all {
        let target = match (resolve(path, found), names.get(&found.segments[0])) {
            (Some(target), _) => target,
            (None, Some(module)) => [module, &found.segments[1..]].concat(),
            (None, None) => continue,
        };
        if target.first().is_none_or(|module| module != "store") {
            continue;
        }
        let Some(function) = target.get(1..).and_then(|rest| rest.last()) else {
            continue;
        };
        if function == "*" {
            breaches.push((found.line, "imports all of a store module".to_owned()));
        } else if (function == "write" && !may_write)
            || WRITING.iter().any(|verb| function.starts_with(verb))
        {
            breaches.push((found.line, format!("calls {}", target.join("::"))));
        }
    }
    let tokens = tokens(&code(text));
    for window in tokens.windows(3) {
        if !may_write && said(window) == [".", "write", "("] {
            breaches.push((window[1].line, "writes to the database".to_owned()));
        }
    }
    breaches.sort();
    breaches
}

fn module_comment(_path: &str, text: &str) -> Vec<Breach> {
    let first = text.lines().next().unwrap_or_default();
    match first.strip_prefix("//!") {
        Some(words) if !words.trim().is_empty() => Vec::new(),
        _ => vec![(1, "does not begin with `//!`".to_owned())],
    }
}

fn unfinished(_path: &str, text: &str) -> Vec<Breach> {
    let tokens = tokens(&code(text));
    let mut breaches = Vec::new();
    let mut attribute = 0_usize;
    for (at, token) in tokens.iter().enumerate() {
        let after = tokens.get(at + 1).map_or("", |next| next.text.as_str());
        let before = at
            .checked_sub(1)
            .map_or("", |last| tokens[last].text.as_str());
        match token.text.as_str() {
            "#" if after == "[" => attribute = 1,
            "#" if after == "!" && tokens.get(at + 2).is_some_and(|t| t.text == "[") => {
                attribute = 1;
            }
            "[" if attribute > 0 && before != "#" && before != "!" => attribute += 1,
            "]" => attribute = attribute.saturating_sub(1),
            "allow" if attribute > 0 && after == "(" => {
                breaches.push((token.line, "allows a lint".to_owned()));
            }
            "ignore" if attribute > 0 && before == "[" => {
                breaches.push((token.line, "ignores a test".to_owned()));
            }
            word @ ("todo" | "unimplemented" | "dbg") if after == "!" => {
                breaches.push((token.line, format!("`{word}!` is left in")));
            }
            _ => {}
        }
    }
    breaches
}

fn diesel_first(_path: &str, text: &str) -> Vec<Breach> {
    // A slice's `.first()` takes nothing, diesel's takes the connection.
    tokens(&code(text))
        .windows(4)
        .filter(|window| match said(window)[..] {
            [".", "first", "(", argument] => argument != ")",
            [".", "first", "::", _] => true,
            _ => false,
        })
        .map(|window| (window[1].line, "calls diesel's `.first(…)`".to_owned()))
        .collect()
}

/// A `#[template(path = "…")]` and where it stands.
struct Template {
    file: String,
    line: usize,
    path: String,
}

fn templates_named(file: &str, text: &str) -> Vec<Template> {
    let text = without_comments(text);
    let mut found = Vec::new();
    for (at, _) in text.match_indices("#[template(") {
        let attribute = &text[at..];
        let attribute = &attribute[..attribute.find(")]").unwrap_or(attribute.len())];
        let path = attribute.match_indices("path").find_map(|(at, _)| {
            let value = attribute[at + 4..].trim_start().strip_prefix('=')?;
            let value = value.trim_start().strip_prefix('"')?;
            Some(value[..value.find('"')?].to_owned())
        });
        if let Some(path) = path {
            found.push(Template {
                file: file.to_owned(),
                line: line_at(&text, at),
                path,
            });
        }
    }
    found
}

fn screens(templates: &[&str], handlers: &[Template]) -> Vec<String> {
    let mut breaches = Vec::new();
    for template in templates {
        let path = template.trim_start_matches("templates/");
        let Some((area, name)) = path.split_once('/') else {
            continue;
        };
        if AREAS.contains(&area)
            && !name.starts_with('_')
            && !handlers.iter().any(|handler| handler.path == path)
        {
            breaches.push(format!("{template}:1: no handler in src/web/{area}/"));
        }
    }
    for Template { file, line, path } in handlers {
        let place = format!("{file}:{line}");
        let known = templates
            .iter()
            .any(|template| template.trim_start_matches("templates/") == path);
        if path.ends_with(".html") && !known {
            breaches.push(format!("{place}: templates/{path} does not exist"));
        }
        let area = path.split('/').next().unwrap_or_default();
        let home = match area {
            "mail" => "src/mail".to_owned(),
            _ if AREAS.contains(&area) => format!("src/web/{area}"),
            _ => continue,
        };
        if !file.starts_with(&format!("{home}/")) && *file != format!("{home}.rs") {
            breaches.push(format!("{place}: {path} belongs in {home}/"));
        }
    }
    breaches
}

fn data_screen(path: &str, text: &str) -> Vec<Breach> {
    let own = path
        .trim_start_matches("templates/")
        .trim_end_matches(".html");
    let text = without_template_comments(text);
    let mut breaches = Vec::new();
    for (mark, end) in [("data-screen=\"", "\""), ("{% block screen %}", "{%")] {
        for (at, _) in text.match_indices(mark) {
            let value = &text[at + mark.len()..];
            let value = value[..value.find(end).unwrap_or(value.len())].trim();
            if !value.is_empty() && !value.contains('{') && value != own {
                breaches.push((line_at(&text, at), format!("calls itself {value}")));
            }
        }
    }
    breaches
}

/// Texts in a handler that read like a screen's name, such as "team/members", but name none.
fn unknown_screens(path: &str, text: &str, templates: &[&str]) -> Vec<String> {
    let text = without_comments(text);
    let mut breaches = Vec::new();
    for area in AREAS {
        let start = format!("\"{area}/");
        for (at, _) in text.match_indices(&start) {
            let name = &text[at + 1..];
            let name = &name[..name.find('"').unwrap_or(name.len())];
            let plain = name.chars().all(|c| is_word(c) || c == '/');
            if plain && !templates.contains(&format!("templates/{name}.html").as_str()) {
                let line = line_at(&text, at);
                breaches.push(format!("{path}:{line}: there is no templates/{name}.html"));
            }
        }
    }
    breaches
}

fn unused_partials(templates: &[(String, String)], handlers: &[Template]) -> Vec<String> {
    let mut breaches = Vec::new();
    for (file, _) in templates {
        let path = file.trim_start_matches("templates/");
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        if !name.starts_with('_') {
            continue;
        }
        let included = templates.iter().any(|(other, text)| {
            let text = without_template_comments(text);
            let beside = other.rsplit_once('/').map(|(folder, _)| folder)
                == Some(format!("templates/{folder}").as_str());
            other != file
                && (text.contains(&format!("\"{path}\""))
                    || (beside && text.contains(&format!("\"{name}\""))))
        });
        if !included && !handlers.iter().any(|handler| handler.path == path) {
            breaches.push(format!("{file}:1: nobody includes it"));
        }
    }
    breaches
}

fn unescaped(_path: &str, text: &str) -> Vec<Breach> {
    let text = without_template_comments(text);
    let mut breaches = Vec::new();
    for (at, _) in text.match_indices('|') {
        let filter = text[at + 1..].trim_start();
        let name: String = filter.chars().take_while(|c| is_word(*c)).collect();
        let none = filter[name.len()..].trim_start().starts_with("(\"none\"");
        if name == "safe" || (none && (name == "escape" || name == "e")) {
            breaches.push((line_at(&text, at), format!("`|{name}` skips the escaping")));
        }
    }
    for (at, _) in text.match_indices("autoescape") {
        breaches.push((line_at(&text, at), "changes the escaping".to_owned()));
    }
    breaches.sort();
    breaches
}

fn inline_code(path: &str, text: &str) -> Vec<Breach> {
    let letter = path.starts_with("templates/mail/");
    let text = blank_between(&without_template_comments(text), "{%", "%}");
    let text = blank_between(&text, "{{", "}}");
    let mut breaches = Vec::new();
    let mut complain = |at: usize, what: &str| breaches.push((line_at(&text, at), what.to_owned()));
    for (at, _) in text.match_indices('=') {
        let name: String = text[..at]
            .chars()
            .rev()
            .take_while(|c| c.is_ascii_alphanumeric() || *c == '-')
            .collect();
        let name: String = name.chars().rev().collect();
        let before = text[..at - name.len()].chars().next_back();
        let quoted = text[at + 1..].starts_with(['"', '\'']);
        if !quoted || !before.is_some_and(char::is_whitespace) {
            continue;
        }
        let handler = name.len() > 2
            && name.starts_with("on")
            && name.chars().all(|c| c.is_ascii_lowercase());
        if name == "style" && !letter {
            complain(at, "inline style");
        } else if handler {
            complain(at, "inline handler");
        }
    }
    for (at, _) in text.match_indices("<script") {
        let tag = &text[at..];
        let tag = &tag[..tag.find('>').unwrap_or(tag.len())];
        if letter || !tag.contains(" src=") {
            complain(at, "inline script");
        }
    }
    for (at, _) in text.match_indices("<style") {
        if !letter {
            complain(at, "inline style");
        }
    }
    for (at, _) in text.match_indices("javascript:") {
        complain(at, "script in an address");
    }
    breaches.sort();
    breaches.dedup();
    breaches
}

fn unpaired(sqlite: &BTreeSet<String>, postgres: &BTreeSet<String>) -> Vec<String> {
    let only_sqlite = sqlite
        .difference(postgres)
        .map(|name| format!("migrations/postgres/{name} is missing"));
    let only_postgres = postgres
        .difference(sqlite)
        .map(|name| format!("migrations/sqlite/{name} is missing"));
    only_sqlite.chain(only_postgres).collect()
}

// ---------------------------------------------------------------------------------------------
// Reading Rust, as far as the rules need it
// ---------------------------------------------------------------------------------------------

/// A path such as `crate::store::Db`, from an import or from the middle of the code.
struct Found {
    line: usize,
    segments: Vec<String>,
    /// The name after `as`.
    alias: Option<String>,
    /// Whether it stands in a `use`.
    imported: bool,
    /// The inline modules around it.
    inside: Vec<String>,
}

impl Found {
    /// What the importing file calls it.
    fn name(&self) -> Option<String> {
        match (&self.alias, self.segments.last()) {
            (Some(alias), _) => Some(alias.clone()),
            (None, Some(last)) if last == "self" => self.segments.iter().rev().nth(1).cloned(),
            (None, last) => last.cloned(),
        }
    }
}

/// The path from the crate's root, or nothing if it is not said to be ours.
fn resolve(file: &str, found: &Found) -> Option<Vec<String>> {
    let mut here = module_of(file);
    here.extend(found.inside.iter().cloned());
    let mut rest = found.segments.as_slice();
    match rest.first()?.as_str() {
        "crate" | "roster" => {
            here.clear();
            rest = &rest[1..];
        }
        "self" => rest = &rest[1..],
        "super" => {
            while rest.first().is_some_and(|segment| segment == "super") {
                here.pop();
                rest = &rest[1..];
            }
        }
        _ => return None,
    }
    here.extend(rest.iter().filter(|segment| *segment != "self").cloned());
    Some(here)
}

/// `src/web/team/members.rs` → `web`, `team`, `members`.
fn module_of(file: &str) -> Vec<String> {
    let path = file.trim_start_matches("src/").trim_end_matches(".rs");
    let mut module: Vec<String> = path.split('/').map(str::to_owned).collect();
    if matches!(module.last().map(String::as_str), Some("mod")) || module.len() == 1 {
        match module[0].as_str() {
            "lib" | "main" => module.clear(),
            _ if module.len() > 1 => drop(module.pop()),
            _ => {}
        }
    }
    module
}

fn top_module(file: &str) -> String {
    let path = file.trim_start_matches("src/").trim_end_matches(".rs");
    path.split('/').next().unwrap_or_default().to_owned()
}

/// All paths of a file: every leaf of every `use`, and whatever holds a `::` elsewhere.
fn paths(text: &str) -> Vec<Found> {
    let tokens = tokens(&code(text));
    let word = |at: usize| tokens.get(at).map_or("", |token| token.text.as_str());
    let is_name = |at: usize| word(at).starts_with(is_word);
    let mut found = Vec::new();
    // The inline modules we are in, each with the depth of its brace.
    let mut modules: Vec<(String, usize)> = Vec::new();
    let mut depth = 0_usize;
    let mut at = 0;
    while at < tokens.len() {
        let inside = || modules.iter().map(|(name, _)| name.clone()).collect();
        match word(at) {
            "{" => depth += 1,
            "}" => {
                depth = depth.saturating_sub(1);
                if modules.last().is_some_and(|(_, brace)| *brace == depth) {
                    modules.pop();
                }
            }
            "mod" if is_name(at + 1) && word(at + 2) == "{" => {
                modules.push((word(at + 1).to_owned(), depth));
                depth += 1;
                at += 2;
            }
            "extern" if word(at + 1) == "crate" => {
                found.push(Found {
                    line: tokens[at].line,
                    segments: vec![word(at + 2).to_owned()],
                    alias: None,
                    imported: true,
                    inside: inside(),
                });
                at += 2;
            }
            // `impl Trait + use<'a>` is not an import.
            "use" if word(at + 1) != "<" => {
                at = use_tree(&tokens, at + 1, &[], &inside(), &mut found);
            }
            _ if is_name(at) => {
                let line = tokens[at].line;
                // `x.y` and the end of `<A as B>::C` do not begin a path; `::x` does.
                let previous = at.checked_sub(1).map_or("", word);
                let starts = match previous {
                    "." => false,
                    "::" => !(at.checked_sub(2).is_some_and(is_name) || word(at.max(2) - 2) == ">"),
                    _ => true,
                };
                let mut segments = vec![word(at).to_owned()];
                while word(at + 1) == "::" && is_name(at + 2) {
                    at += 2;
                    segments.push(word(at).to_owned());
                }
                if starts && segments.len() > 1 {
                    found.push(Found {
                        line,
                        segments,
                        alias: None,
                        imported: false,
                        inside: inside(),
                    });
                }
            }
            _ => {}
        }
        at += 1;
    }
    found
}

/// Reads one branch of a `use` and returns where it ends: at `,`, `}` or `;`.
fn use_tree(
    tokens: &[Token],
    mut at: usize,
    prefix: &[String],
    inside: &[String],
    found: &mut Vec<Found>,
) -> usize {
    let mut segments = prefix.to_vec();
    let mut alias = None;
    let mut line = 0;
    while let Some(token) = tokens.get(at) {
        match token.text.as_str() {
            "," | "}" | ";" => break,
            "::" => {}
            "{" => {
                loop {
                    at = use_tree(tokens, at + 1, &segments, inside, found);
                    if tokens.get(at).is_none_or(|token| token.text != ",") {
                        break;
                    }
                }
                return at + 1;
            }
            "as" => {
                at += 1;
                alias = tokens.get(at).map(|token| token.text.clone());
            }
            segment => {
                line = token.line;
                segments.push(segment.to_owned());
            }
        }
        at += 1;
    }
    if line > 0 {
        found.push(Found {
            line,
            segments,
            alias,
            imported: true,
            inside: inside.to_vec(),
        });
    }
    at
}

/// A word, `::`, or a single mark.
struct Token {
    line: usize,
    text: String,
}

fn said(tokens: &[Token]) -> Vec<&str> {
    tokens.iter().map(|token| token.text.as_str()).collect()
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn tokens(code: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    for (line, text) in code.lines().enumerate() {
        let mut rest = text.trim_start();
        while let Some(first) = rest.chars().next() {
            let length = if is_word(first) {
                rest.find(|c| !is_word(c)).unwrap_or(rest.len())
            } else if rest.starts_with("::") {
                2
            } else {
                first.len_utf8()
            };
            tokens.push(Token {
                line: line + 1,
                text: rest[..length].to_owned(),
            });
            rest = rest[length..].trim_start();
        }
    }
    tokens
}

/// The text with comments and the insides of strings blanked, line by line as before.
fn code(text: &str) -> String {
    blank(text, false)
}

fn without_comments(text: &str) -> String {
    blank(text, true)
}

fn blank(text: &str, keep_strings: bool) -> String {
    let chars: Vec<char> = text.chars().collect();
    let at = |i: usize| chars.get(i).copied().unwrap_or('\0');
    let mut out = String::with_capacity(text.len());
    let mut i = 0;
    while i < chars.len() {
        let start = i;
        let fresh = i == 0 || !is_word(at(i - 1)) || matches!(at(i - 1), 'b' | 'c');
        let mut string = false;
        if at(i) == '/' && at(i + 1) == '/' {
            while i < chars.len() && at(i) != '\n' {
                i += 1;
            }
        } else if at(i) == '/' && at(i + 1) == '*' {
            let mut depth = 0;
            while i < chars.len() {
                match (at(i), at(i + 1)) {
                    ('/', '*') => depth += 1,
                    ('*', '/') => depth -= 1,
                    _ => {
                        i += 1;
                        continue;
                    }
                }
                i += 2;
                if depth == 0 {
                    break;
                }
            }
        } else if at(i) == 'r' && fresh && raw_string(&chars, i).is_some() {
            i = raw_string(&chars, i).unwrap_or(i);
            string = true;
        } else if at(i) == '"' {
            i += 1;
            while i < chars.len() && at(i) != '"' {
                i += if at(i) == '\\' { 2 } else { 1 };
            }
            i += 1;
            string = true;
        } else if at(i) == '\'' && (at(i + 1) == '\\' || at(i + 2) == '\'') {
            // A character, not a lifetime.
            i += if at(i + 1) == '\\' { 3 } else { 2 };
            while i < chars.len() && at(i) != '\'' {
                i += 1;
            }
            i += 1;
            string = true;
        }
        if i == start {
            out.push(at(i));
            i += 1;
            continue;
        }
        i = i.min(chars.len());
        for c in &chars[start..i] {
            out.push(match c {
                '\n' => '\n',
                c if string && keep_strings => *c,
                _ => ' ',
            });
        }
    }
    out
}

/// Where the raw string that begins at `start` ends, if one does.
fn raw_string(chars: &[char], start: usize) -> Option<usize> {
    let hashes = chars[start + 1..].iter().take_while(|c| **c == '#').count();
    let mut i = start + 1 + hashes;
    if chars.get(i) != Some(&'"') {
        return None;
    }
    loop {
        i += 1;
        if *chars.get(i)? == '"' && chars[i + 1..].iter().take(hashes).all(|c| *c == '#') {
            return Some(i + 1 + hashes);
        }
    }
}

// ---------------------------------------------------------------------------------------------
// Reading templates and the repository
// ---------------------------------------------------------------------------------------------

fn without_template_comments(text: &str) -> String {
    blank_between(text, "{#", "#}")
}

fn blank_between(text: &str, open: &str, close: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(open) {
        let end = rest[start..]
            .find(close)
            .map_or(rest.len(), |end| start + end + close.len());
        out.push_str(&rest[..start]);
        out.extend(
            rest[start..end]
                .chars()
                .map(|c| if c == '\n' { '\n' } else { ' ' }),
        );
        rest = &rest[end..];
    }
    out + rest
}

fn line_at(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

fn lines(breaches: &[Breach]) -> Vec<usize> {
    breaches.iter().map(|(line, _)| *line).collect()
}

/// Fails with every breach and the way to mend them.
fn report(breaches: Vec<String>, advice: &str) {
    assert!(
        breaches.is_empty(),
        "\n\n{}\n\nTo mend it: {advice}\n",
        breaches.join("\n")
    );
}

fn hold(files: &[(String, String)], rule: fn(&str, &str) -> Vec<Breach>, advice: &str) {
    assert!(
        !files.is_empty(),
        "found nothing to check: has the folder moved?"
    );
    let breaches = files.iter().flat_map(|(path, text)| {
        rule(path, text)
            .into_iter()
            .map(move |(line, what)| format!("{path}:{line}: {what}"))
    });
    report(breaches.collect(), advice);
}

fn rust_in(folders: &[&str]) -> Vec<(String, String)> {
    folders
        .iter()
        .flat_map(|folder| files_in(folder, "rs"))
        .collect()
}

/// Path and text of all files below `folder` with this ending, or of `folder` itself.
fn files_in(folder: &str, ending: &str) -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    let mut open = vec![root.join(folder)];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            for entry in fs::read_dir(&path).expect("a readable folder") {
                open.push(entry.expect("a readable entry").path());
            }
        } else if path.extension().is_some_and(|found| found == ending) && path.is_file() {
            let text = fs::read_to_string(&path).expect("a text file");
            let inside = path.strip_prefix(root).expect("a path of ours");
            found.push((inside.display().to_string(), text));
        }
    }
    found.sort();
    found
}

fn folders_in(folder: &str) -> BTreeSet<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let Ok(entries) = fs::read_dir(path) else {
        return BTreeSet::new();
    };
    entries
        .map(|entry| entry.expect("a readable entry"))
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}
