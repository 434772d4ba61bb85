//! A person's browser: headless Chromium, spoken to in people's words.
//!
//! [`Browser`] drives its own `chromedriver` and is closed with it when dropped, also by a failing
//! test. Every call waits up to five seconds for what it names, because a page needs a moment
//! after a click. A call that waits in vain fails at the journey's line, says what the page shows
//! instead and leaves `target/screenshots/failed-<test>.png`.

use std::cell::Cell;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use fantoccini::elements::Element;
use fantoccini::error::CmdError;
use fantoccini::key::Key;
use fantoccini::wd::{WebDriverCompatibleCommand, WindowHandle};
use fantoccini::{Client, ClientBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use ureq::http::Method;
use url::Url;

/// How long a page may take to show what a journey waits for.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often we look.
const GLANCE: Duration = Duration::from_millis(20);
/// Widths at which all must fit: a small phone, a tablet, and windows without and with the navigation at the side.
const WIDTHS: [u32; 4] = [320, 800, 1030, 1220];
/// Longer pages are cut off in pictures.
const TALLEST_PICTURE: f64 = 6000.0;
/// The name WebDriver gives the reference to an element.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// The last group keeps a browser without the internet from waiting for it.
const FLAGS: &[&str] = &[
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--window-size=1280,900",
    "--lang=en-US",
    "--force-prefers-reduced-motion",
    "--hide-scrollbars",
    "--disable-extensions",
    "--disable-default-apps",
    "--password-store=basic",
    "--no-proxy-server",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-client-side-phishing-detection",
    "--disable-features=HttpsUpgrades,HttpsFirstBalancedModeAutoEnable,OptimizationHints,Translate,\
     MediaRouter,AutofillServerCommunication,InterestFeedContentSuggestions",
];

/// What the scripts below share: names of things, and which of them a person can see.
const EYES: &str = r#"
    const squash = text => (text ?? '').replace(/\s+/g, ' ').trim();
    const shown = element => element.getClientRects().length > 0
        && element.checkVisibility({visibilityProperty: true});
    // A modal dialog makes everything else unreachable.
    const page = [...document.querySelectorAll('dialog:modal')].at(-1) ?? document;
    const all = selector => [...page.querySelectorAll(selector)].filter(shown);
    const names = element => [
        element.getAttribute('aria-label'),
        element.innerText,
        ['submit', 'button'].includes(element.type) ? element.value : null,
    ].map(squash);
    const list = texts => [...new Set(texts.filter(Boolean))].map(text => `“${text}”`).join(', ');
"#;

/// Arguments: what it is called, and the text of the row or box it is in (or null).
const FIND_BUTTON: &str = r#"
    const [name, row] = arguments;
    const buttons = all('button, a[href], summary, input[type=submit], input[type=button], [role=button]');
    let found = buttons.filter(element => names(element).includes(name));
    if (row !== null) {
        const inside = selector => found.filter(element => {
            const around = element.closest(selector);
            return around && squash(around.innerText).includes(row);
        });
        const close = inside('tr, li, article, fieldset, [role=row]');
        found = close.length ? close : inside('section, form, dialog, [popover]');
    }
    if (found.length > 1 && found.every(element => element.href && element.href === found[0].href)) {
        found = [found[0]];
    }
    if (found.length > 1) return {problem: `${found.length} things are called “${name}”: use press_in`};
    if (!found.length) return {problem: `Nothing to press is called “${name}”, only ${list(buttons.flatMap(names))}`};
    if (found[0].disabled || found[0].ariaDisabled === 'true') return {problem: `“${name}” is disabled`};
    return {element: found[0]};
"#;

/// Arguments: the text of the label, in full or, where only one label begins so, its beginning; and
/// the text of the box it is in (or null).
const FIND_FIELD: &str = r#"
    const [name, box] = arguments;
    const around = field => squash(field.closest('section, form, dialog')?.innerText);
    const fields = [...page.querySelectorAll('input:not([type=hidden]), textarea, select')]
        .filter(field => !box || around(field).includes(box));
    const called = field => [
        field.getAttribute('aria-label'),
        ...(field.getAttribute('aria-labelledby') ?? '').split(/\s+/).map(id => document.getElementById(id)?.innerText),
        ...[...(field.labels ?? [])].filter(shown).map(label => label.innerText),
    ].map(squash).filter(Boolean);
    let found = fields.filter(field => called(field).includes(name));
    if (!found.length) found = fields.filter(field => called(field).some(text => text.startsWith(name + ' ')));
    if (found.length > 1) return {problem: `${found.length} fields are called “${name}”`};
    if (!found.length) return {problem: `No field is called “${name}”, only ${list(fields.flatMap(called))}`};
    const field = found[0];
    if (field.disabled) return {problem: `“${name}” is disabled`};
    // A drawn-over radio button or checkbox is clicked on its label.
    const {width} = field.getBoundingClientRect();
    const bare = !['radio', 'checkbox'].includes(field.type) || (width > 4 && getComputedStyle(field).opacity !== '0');
    return {element: bare ? field : field.labels[0], value: field.value, checked: field.checked};
"#;

/// Arguments: a text that only one row shows.
const FIND_ROW: &str = r#"
    const [text] = arguments;
    const rows = all('tbody tr').map(row => squash(row.innerText)).filter(row => row.includes(text));
    if (rows.length !== 1) return {problem: `${rows.length} rows show “${text}”`};
    return {text: rows[0]};
"#;

/// Arguments: the text of the row, button or box the picture is in, or what is said in its place.
const FIND_PICTURE: &str = r#"
    const [text] = arguments;
    const drawn = all('img').filter(img => img.complete && img.naturalWidth > 0 && img.src.includes('/avatars/'));
    const found = drawn.filter(img => img.alt === text || squash(img.closest('tr, button, form')?.innerText).includes(text));
    return found.length ? {} : {problem: `There is no picture at “${text}”, only ${drawn.length} elsewhere`};
"#;

/// What a person reads, in one line.
const VISIBLE_TEXT: &str = "return squash(document.body?.innerText);";

/// What the keyboard is at.
const FOCUSED: &str = r#"
    const at = document.activeElement;
    return [...names(at), ...[...(at.labels ?? [])].map(label => squash(label.innerText))].find(Boolean) ?? '';
"#;

/// Arguments: the rules to ask, or null for all.
const RUN_AXE: &str = r#"
    const [rules, done] = arguments;
    const options = {resultTypes: ['violations'], preload: false};
    axe.run(document, rules ? {...options, runOnly: rules} : options).then(
        result => done(result.violations.flatMap(rule => rule.nodes.map(node =>
            `${rule.id} (${node.impact}): ${rule.help}: ${node.target.join(' ')}: `
            + node.failureSummary.replace(/\s+/g, ' ')))),
        error => done([`axe failed: ${error}`]),
    );
"#;

const LAID_OUT_FOR: &str = "return document.documentElement.clientWidth;";

/// Arguments: how wide the screen is. What would have to be scrolled sideways, and tables wider than their card.
const SIDEWAYS: &str = r#"
    const [screen] = arguments;
    const wide = document.scrollingElement.scrollWidth;
    const boxes = all('dialog:modal, :popover-open').filter(box => box.scrollWidth > box.clientWidth);
    const right = element => element.getBoundingClientRect().right;
    const tables = all('table').filter(table => right(table) > right(table.parentElement) + 1);
    return [
        ...(wide > screen ? [`at ${screen} pixels the page is ${wide} wide`] : []),
        ...boxes.map(box => `at ${screen} pixels #${box.id} scrolls sideways`),
        ...tables.map(table => `at ${screen} pixels “${table.ariaLabel}” sticks out of its card`),
    ];
"#;

/// One person's browser, with its own profile.
pub struct Browser {
    client: Client,
    runtime: Runtime,
    look: Cell<Look>,
    patience: Cell<Duration>,
    driver: Driver,
    _profile: TempDir,
}

/// One of several tabs of a browser.
pub struct Tab(WindowHandle);

/// How the page is looked at.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Look {
    dark: bool,
    phone: bool,
}

impl Look {
    const fn name(self) -> &'static str {
        match (self.phone, self.dark) {
            (false, false) => "light",
            (false, true) => "dark",
            (true, false) => "phone",
            (true, true) => "phone-dark",
        }
    }
}

/// How every page is looked at.
const LOOKS: [Look; 3] = [
    Look {
        dark: false,
        phone: false,
    },
    Look {
        dark: true,
        phone: false,
    },
    Look {
        dark: false,
        phone: true,
    },
];

impl Browser {
    /// A desktop browser, light.
    pub fn open() -> Self {
        Self::with(json!({}))
    }

    /// The same for somebody who has switched JavaScript off.
    pub fn open_without_javascript() -> Self {
        Self::with(json!({ "profile.managed_default_content_settings.javascript": 2 }))
    }

    fn with(mut preferences: Value) -> Self {
        // No offers to keep the password, no warning that it is a well-known one.
        preferences["credentials_enable_service"] = json!(false);
        preferences["profile.password_manager_enabled"] = json!(false);
        preferences["profile.password_manager_leak_detection"] = json!(false);

        let profile = tempfile::tempdir().expect("a folder for the browser's profile");
        let driver = Driver::start();
        let mut flags: Vec<String> = FLAGS.iter().map(|flag| (*flag).to_owned()).collect();
        flags.push(format!("--user-data-dir={}", profile.path().display()));
        let wishes = json!({
            "goog:chromeOptions": { "args": flags, "prefs": preferences },
            "goog:loggingPrefs": { "browser": "ALL" },
            "timeouts": { "pageLoad": 30_000, "script": 30_000 },
        });
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let client = runtime
            .block_on(
                ClientBuilder::new(HttpConnector::new())
                    .capabilities(wishes.as_object().cloned().unwrap_or_default())
                    .connect(&driver.address),
            )
            .expect("chromedriver starts Chromium");
        Self {
            client,
            runtime,
            look: Cell::default(),
            patience: Cell::new(PATIENCE),
            driver,
            _profile: profile,
        }
    }

    /// Waits less (or more) than the usual five seconds from now on.
    pub fn wait_at_most(&self, patience: Duration) {
        self.patience.set(patience);
    }

    /// Goes to an address.
    #[track_caller]
    pub fn visit(&self, address: &str) {
        self.done(self.client.goto(address));
    }

    /// Opens another tab of the same browser and goes to it. What is returned leads [back](Self::to_tab).
    #[track_caller]
    pub fn open_tab(&self) -> Tab {
        let here = self.done(self.client.window());
        let tab = self.done(self.client.new_window(true));
        self.done(self.client.switch_to_window(tab.handle));
        Tab(here)
    }

    /// Goes to a tab that is open. What is returned leads back.
    #[track_caller]
    pub fn to_tab(&self, tab: &Tab) -> Tab {
        let here = self.done(self.client.window());
        self.done(self.client.switch_to_window(tab.0.clone()));
        Tab(here)
    }

    /// Goes to this page again.
    #[track_caller]
    pub fn reload(&self) {
        self.done(self.client.refresh());
    }

    /// Goes back, as with the browser's own button.
    #[track_caller]
    pub fn back(&self) {
        self.done(self.client.back());
    }

    /// Types into the field with this label, in place of what it holds.
    #[track_caller]
    pub fn fill(&self, label: &str, text: &str) {
        self.type_into(&[json!(label), Value::Null], text);
    }

    /// The same, in the box (section, form or dialog) that also shows `words`.
    #[track_caller]
    pub fn fill_in(&self, words: &str, label: &str, text: &str) {
        self.type_into(&[json!(label), json!(words)], text);
    }

    #[track_caller]
    fn type_into(&self, field: &[Value], text: &str) {
        self.act_on(FIND_FIELD, field, async |field| {
            field.clear().await?;
            field.send_keys(text).await
        });
    }

    /// Clicks the radio button or checkbox with this label.
    #[track_caller]
    pub fn choose(&self, label: &str) {
        self.act_on(FIND_FIELD, &[json!(label)], async |field| {
            field.click().await
        });
    }

    /// Picks an option of the select with this label.
    #[track_caller]
    pub fn pick(&self, label: &str, option: &str) {
        self.act_on(FIND_FIELD, &[json!(label)], async |field| {
            field.select_by_label(option).await
        });
    }

    /// Gives the file field with this label a file.
    #[track_caller]
    pub fn upload(&self, label: &str, file: &Path) {
        let path = file.to_str().expect("a path in UTF-8");
        self.act_on(FIND_FIELD, &[json!(label)], async |field| {
            field.send_keys(path).await
        });
    }

    /// What the field with this label holds.
    #[track_caller]
    pub fn value(&self, label: &str) -> String {
        let found = self.found(FIND_FIELD, &[json!(label)]);
        found["value"].as_str().unwrap_or_default().to_owned()
    }

    /// Whether the radio button or checkbox with this label is chosen.
    #[track_caller]
    pub fn chosen(&self, label: &str) -> bool {
        self.found(FIND_FIELD, &[json!(label)])["checked"] == json!(true)
    }

    /// Clicks the button or link with exactly this text (or `aria-label`).
    #[track_caller]
    pub fn press(&self, name: &str) {
        self.act_on(FIND_BUTTON, &[json!(name), Value::Null], async |button| {
            button.click().await
        });
    }

    /// The same, in the table row, list item or box that also shows `row`.
    #[track_caller]
    pub fn press_in(&self, row: &str, name: &str) {
        self.act_on(FIND_BUTTON, &[json!(name), json!(row)], async |button| {
            button.click().await
        });
    }

    /// Presses a key where the focus is.
    #[track_caller]
    pub fn key(&self, key: Key) {
        self.done(async {
            let focused = self.client.active_element().await?;
            focused.send_keys(&char::from(key).to_string()).await
        });
    }

    /// The name of what has the focus.
    #[track_caller]
    pub fn focused(&self) -> String {
        self.asked(FOCUSED, &[])
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    /// Waits until the focus is at what is called so.
    #[track_caller]
    pub fn focus_at(&self, name: &str) {
        self.wait(
            || format!("the focus is not at “{name}”, but at “{}”", self.focused()),
            || self.focused() == name,
        );
    }

    /// Waits until the page shows this text.
    #[track_caller]
    pub fn see(&self, text: &str) {
        self.wait(
            || format!("“{text}” is not to be seen"),
            || self.shows(text),
        );
    }

    /// Waits until the page does not show this text.
    #[track_caller]
    pub fn miss(&self, text: &str) {
        self.wait(
            || format!("“{text}” is still to be seen"),
            || !self.shows(text),
        );
    }

    /// Whether the page shows this text now.
    #[track_caller]
    pub fn shows(&self, text: &str) -> bool {
        let text: Vec<&str> = text.split_whitespace().collect();
        self.text().contains(&text.join(" "))
    }

    /// Waits for an address: a path, or a path with its query.
    #[track_caller]
    pub fn at(&self, path: &str) {
        self.wait(
            || format!("not at {path}"),
            || {
                let address = self.address();
                match (path.contains('?'), address.query()) {
                    (true, Some(query)) => format!("{}?{query}", address.path()) == path,
                    _ => address.path() == path,
                }
            },
        );
    }

    /// Where we are.
    #[track_caller]
    pub fn address(&self) -> Url {
        self.done(self.client.current_url())
    }

    /// The title of the page.
    #[track_caller]
    pub fn title(&self) -> String {
        self.done(self.client.title())
    }

    /// What a person reads on the page, in one line.
    #[track_caller]
    pub fn text(&self) -> String {
        self.asked(VISIBLE_TEXT, &[])
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    /// What a person reads in the table row that shows `text`.
    #[track_caller]
    pub fn row(&self, text: &str) -> String {
        let found = self.found(FIND_ROW, &[json!(text)]);
        found["text"].as_str().unwrap_or_default().to_owned()
    }

    /// Waits until somebody's picture is drawn in the row, button or box that shows `text`.
    #[track_caller]
    pub fn see_picture(&self, text: &str) {
        self.found(FIND_PICTURE, &[json!(text)]);
    }

    /// The page as it stands now.
    #[track_caller]
    pub fn html(&self) -> String {
        self.done(self.client.source())
    }

    /// Signs out by force: drops all cookies.
    #[track_caller]
    pub fn forget(&self) {
        self.done(self.client.delete_all_cookies());
    }

    /// Lets pages write to the clipboard, and us read it.
    #[track_caller]
    pub fn allow_clipboard(&self) {
        self.devtools(
            "Browser.grantPermissions",
            json!({ "permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"] }),
        );
    }

    /// What is on the clipboard.
    #[track_caller]
    pub fn clipboard(&self) -> String {
        let script = "const done = arguments[0];
            navigator.clipboard.readText().then(done, error => done(`${error}`));";
        let text = self.done(self.client.execute_async(script, Vec::new()));
        text.as_str().unwrap_or_default().to_owned()
    }

    /// Looks at the page in a dark theme, until [`light`](Self::light).
    #[track_caller]
    pub fn dark(&self) {
        self.look_at(Look {
            dark: true,
            ..self.look.get()
        });
    }

    /// Looks at the page in a light theme, as at first.
    #[track_caller]
    pub fn light(&self) {
        self.look_at(Look {
            dark: false,
            ..self.look.get()
        });
    }

    /// Looks at the page on a phone, until [`desktop`](Self::desktop).
    #[track_caller]
    pub fn phone(&self) {
        self.look_at(Look {
            phone: true,
            ..self.look.get()
        });
    }

    /// Looks at the page on a desk, as at first.
    #[track_caller]
    pub fn desktop(&self) {
        self.look_at(Look {
            phone: false,
            ..self.look.get()
        });
    }

    #[track_caller]
    fn look_at(&self, look: Look) {
        let theme = if look.dark { "dark" } else { "light" };
        self.devtools(
            "Emulation.setEmulatedMedia",
            json!({ "features": [
                { "name": "prefers-color-scheme", "value": theme },
                { "name": "prefers-reduced-motion", "value": "reduce" },
            ] }),
        );
        if look.phone {
            self.screen_of(390);
        } else {
            self.screen_of(1280);
        }
        self.look.set(look);
    }

    #[track_caller]
    fn screen_of(&self, width: u32) {
        let phone = width < 600;
        let height = if phone { 844 } else { 900 };
        self.devtools(
            "Emulation.setDeviceMetricsOverride",
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone }),
        );
        self.wait(
            || format!("the page is not laid out for {width} pixels"),
            || self.asked(LAID_OUT_FOR, &[]) == json!(width),
        );
    }

    /// Keeps a picture of the whole page: `target/screenshots/<name>-<light|dark|phone>.png`.
    #[track_caller]
    pub fn screenshot(&self, name: &str) -> PathBuf {
        let look = self.look.get().name();
        let size = &self.devtools("Page.getLayoutMetrics", json!({}))["cssContentSize"];
        let height = size["height"].as_f64().unwrap_or(900.0);
        let picture = self.devtools(
            "Page.captureScreenshot",
            json!({
                "captureBeyondViewport": true,
                "clip": {
                    "x": 0, "y": 0, "scale": 1,
                    "width": size["width"], "height": height.min(TALLEST_PICTURE),
                },
            }),
        );
        let picture = BASE64
            .decode(picture["data"].as_str().unwrap_or_default())
            .expect("a picture");
        keep(&format!("{name}-{look}.png"), &picture)
    }

    /// Keeps all three pictures and goes back to how we looked before.
    #[track_caller]
    pub fn pictures(&self, name: &str) -> [PathBuf; 3] {
        let before = self.look.get();
        let pictures = LOOKS.map(|look| {
            self.look_at(look);
            self.screenshot(name)
        });
        self.look_at(before);
        pictures
    }

    /// What axe-core finds wrong with the page as it is looked at now. Empty is fine.
    #[track_caller]
    pub fn axe(&self) -> Vec<String> {
        self.axe_asked(Value::Null)
    }

    #[track_caller]
    fn axe_asked(&self, rules: Value) -> Vec<String> {
        let there = self.done(self.client.execute("return 'axe' in window;", Vec::new()));
        if there != json!(true) {
            self.done(self.client.execute(&axe_source(), Vec::new()));
        }
        let found = self.done(self.client.execute_async(RUN_AXE, vec![rules]));
        lines_of(&found)
    }

    /// Fails unless nothing is wrong with the page as it stands, its dialog or menu included: axe
    /// finds nothing in light, in dark and on a phone, all fits every width of [`WIDTHS`], and the
    /// console is quiet.
    #[track_caller]
    pub fn sound(&self) {
        let before = self.look.get();
        let mut wrong = Vec::new();
        for look in LOOKS {
            self.look_at(look);
            // A theme changes colours only.
            let rules = if look.dark {
                json!(["color-contrast"])
            } else {
                Value::Null
            };
            let found = self.axe_asked(rules);
            wrong.extend(
                found
                    .into_iter()
                    .map(|line| format!("{}: {line}", look.name())),
            );
        }
        for width in WIDTHS {
            self.screen_of(width);
            wrong.extend(lines_of(&self.asked(SIDEWAYS, &[json!(width)])));
        }
        self.look_at(before);
        wrong.extend(self.console_errors());
        if !wrong.is_empty() {
            self.fail(&wrong.join("\n"));
        }
    }

    /// The errors in the browser's console since the last call: scripts that failed, files that
    /// did not load, breaches of the content security policy.
    ///
    /// A page answered by 4xx is one too for Chromium, but part of our journeys: left out.
    #[track_caller]
    pub fn console_errors(&self) -> Vec<String> {
        let log = self.done(self.client.issue_cmd(Extra {
            path: "se/log",
            body: json!({ "type": "browser" }),
        }));
        let entries = log.as_array().cloned().unwrap_or_default();
        entries
            .iter()
            .filter(|entry| entry["level"] == "SEVERE")
            .filter_map(|entry| entry["message"].as_str())
            .filter(|message| !is_refused_page(message))
            .map(str::to_owned)
            .collect()
    }

    // --- how the above is done ---

    /// Runs a script that sees the page as [`EYES`] does.
    #[track_caller]
    fn asked(&self, script: &str, arguments: &[Value]) -> Value {
        let script = format!("{EYES}\n{script}");
        // Between two pages there is none to ask.
        let end = Instant::now() + self.patience.get();
        loop {
            let answer = self.client.execute(&script, arguments.to_vec());
            match self.runtime.block_on(answer) {
                Ok(answer) => return answer,
                Err(_) if Instant::now() < end => std::thread::sleep(GLANCE),
                Err(error) => self.fail(&error.to_string()),
            }
        }
    }

    /// Waits until a script finds its element, and returns its whole answer.
    #[track_caller]
    fn found(&self, script: &str, arguments: &[Value]) -> Value {
        let end = Instant::now() + self.patience.get();
        loop {
            let answer = self.asked(script, arguments);
            match answer["problem"].as_str() {
                None => return answer,
                Some(_) if Instant::now() < end => std::thread::sleep(GLANCE),
                Some(problem) => self.fail(problem),
            }
        }
    }

    /// Finds an element and does something to it, again if the page moved under our hand.
    #[track_caller]
    fn act_on(
        &self,
        script: &str,
        arguments: &[Value],
        act: impl AsyncFn(Element) -> Result<(), CmdError>,
    ) {
        let end = Instant::now() + self.patience.get();
        loop {
            let found = self.found(script, arguments);
            let id = found["element"][ELEMENT].as_str().unwrap_or_default();
            let element = Element::from_element_id(self.client.clone(), id.to_owned().into());
            match self.runtime.block_on(act(element)) {
                Ok(()) => return,
                Err(_) if Instant::now() < end => std::thread::sleep(GLANCE),
                Err(error) => self.fail(&format!("{}: {error}", arguments[0])),
            }
        }
    }

    #[track_caller]
    fn wait(&self, problem: impl Fn() -> String, ready: impl Fn() -> bool) {
        let end = Instant::now() + self.patience.get();
        while !ready() {
            if Instant::now() > end {
                self.fail(&problem());
            }
            std::thread::sleep(GLANCE);
        }
    }

    /// Calls Chromium's own protocol, for what WebDriver has no words for.
    #[track_caller]
    fn devtools(&self, command: &str, parameters: Value) -> Value {
        self.done(self.client.issue_cmd(Extra {
            path: "goog/cdp/execute",
            body: json!({ "cmd": command, "params": parameters }),
        }))
    }

    #[track_caller]
    fn done<T>(&self, step: impl Future<Output = Result<T, CmdError>>) -> T {
        match self.runtime.block_on(step) {
            Ok(answer) => answer,
            Err(error) => self.fail(&error.to_string()),
        }
    }

    /// Ends the test with what a person would want to know: the page, in words and as a picture.
    #[track_caller]
    fn fail(&self, problem: &str) -> ! {
        let test = std::thread::current().name().unwrap_or("test").to_owned();
        let look = async {
            let picture = self.client.screenshot().await?;
            let address = self.client.current_url().await?;
            let script = format!("{EYES}\n{VISIBLE_TEXT}");
            let text = self.client.execute(&script, Vec::new()).await?;
            Ok::<_, CmdError>((picture, address, text))
        };
        match self.runtime.block_on(look) {
            Ok((picture, address, text)) => {
                let picture = keep(&format!("failed-{}.png", test.replace(':', "-")), &picture);
                let text: String = text
                    .as_str()
                    .unwrap_or_default()
                    .chars()
                    .take(1500)
                    .collect();
                panic!(
                    "{problem}\n  at {address}\n  which shows: {text}\n  {}",
                    picture.display()
                )
            }
            Err(_) => panic!("{problem}\n  and the browser does not answer"),
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Chromium ends by itself when its session is closed; the driver's drop sees to the rest.
        let close = self.client.clone().close();
        let politely = async { tokio::time::timeout(Duration::from_secs(3), close).await };
        if self.runtime.block_on(politely).is_err() {
            eprintln!("Chromium {} did not close in time", self.driver.address);
        }
    }
}

/// A `chromedriver` of our own, on a free port.
struct Driver {
    child: Child,
    address: String,
    /// Held open: chromedriver would stop at a closed pipe.
    _output: BufReader<ChildStdout>,
}

impl Driver {
    /// It looks for a port that is free on IPv4 and then wants the same on IPv6, where somebody else may have it: then it
    /// ends, and another one finds another port.
    fn start() -> Self {
        (0..5)
            .find_map(|_| Self::try_start())
            .expect("chromedriver ended five times before it named its port")
    }

    fn try_start() -> Option<Self> {
        let mut child = Command::new("chromedriver")
            .args(["--port=0", "--log-level=SEVERE"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .expect("chromedriver: install chromium and chromium-driver");
        let output = child.stdout.take().expect("chromedriver's output");
        let mut output = BufReader::new(output);
        let port: u16 = loop {
            let mut line = String::new();
            let length = output.read_line(&mut line).expect("chromedriver's words");
            if length == 0 {
                child.wait().expect("chromedriver has ended");
                return None;
            }
            let port = line
                .trim()
                .strip_suffix('.')
                .and_then(|line| line.rsplit_once("on port "));
            if let Some((_, port)) = port {
                break port.parse().expect("chromedriver's port");
            }
        };
        Some(Self {
            child,
            address: format!("http://127.0.0.1:{port}"),
            _output: output,
        })
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // The whole process group: a failing test may leave Chromium's processes behind.
        let kill = Command::new("kill")
            .args(["-KILL", "--", &format!("-{}", self.child.id())])
            .stderr(Stdio::null())
            .status();
        if kill.is_err() && self.child.kill().is_err() {
            eprintln!("chromedriver {} is left running", self.child.id());
        }
        if let Err(error) = self.child.wait() {
            eprintln!("chromedriver {}: {error}", self.child.id());
        }
    }
}

/// A command WebDriver's standard does not have.
#[derive(Debug)]
struct Extra {
    path: &'static str,
    body: Value,
}

impl WebDriverCompatibleCommand for Extra {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, url::ParseError> {
        let session = session.unwrap_or_default();
        base.join(&format!("session/{session}/{}", self.path))
    }

    fn method_and_body(&self, _address: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(self.body.to_string()))
    }
}

/// Whether a message of the console is about a page answered by 4xx: not a file, not our failure.
fn is_refused_page(message: &str) -> bool {
    let Some((address, what)) = message.split_once(" - Failed to load resource: ") else {
        return false;
    };
    let file = Url::parse(address).is_ok_and(|address| {
        let name = address
            .path_segments()
            .and_then(|mut names| names.next_back());
        name.is_some_and(|name| name.contains('.'))
    });
    !file && what.contains("with a status of 4")
}

fn lines_of(list: &Value) -> Vec<String> {
    let lines = list.as_array().cloned().unwrap_or_default();
    lines
        .iter()
        .filter_map(|line| line.as_str())
        .map(str::to_owned)
        .collect()
}

fn axe_source() -> String {
    #[expect(
        clippy::disallowed_methods,
        reason = "tests have no settings: tests/run says where it put axe-core"
    )]
    let named = std::env::var_os("AXE_JS").map(PathBuf::from);
    let path = named.unwrap_or_else(|| target().join("tools/node_modules/axe-core/axe.min.js"));
    fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}: run `tests/run browser`", path.display()))
}

fn keep(name: &str, picture: &[u8]) -> PathBuf {
    let folder = target().join("screenshots");
    fs::create_dir_all(&folder).expect("a folder for screenshots");
    let path = folder.join(name);
    fs::write(&path, picture).expect("room for a screenshot");
    path
}

fn target() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target")
}
