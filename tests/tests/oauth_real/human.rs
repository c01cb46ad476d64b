//! A person who is sent to a page: at a real Chromium, or at what is enough for pages without a script.

use narthex_tests::{installed, node};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A person, and how they look at pages.
#[derive(Clone, Debug)]
pub(crate) struct Human {
    script: &'static str,
    options: Vec<String>,
}

/// What a person saw.
#[derive(Debug)]
pub(crate) struct Visit {
    /// Where the browser was sent last.
    pub(crate) url: String,
    /// The pages, in order.
    pub(crate) pages: Vec<Page>,
    /// What pages tried that their own policy forbids, as Chromium says it.
    pub(crate) blocked: Vec<String>,
}

/// One page as it was read.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) url: String,
    pub(crate) text: String,
}

impl Human {
    /// With a real Chromium.
    pub(crate) fn at_chromium() -> Self {
        Self { script: "oauth/human.mjs", options: Vec::new() }
    }

    /// Without a browser: follows redirects, keeps cookies, sends forms.
    pub(crate) fn without_browser() -> Self {
        Self { script: "oauth/forms.mjs", options: Vec::new() }
    }

    pub(crate) fn named(self, user: &str) -> Self {
        self.option("--user", user)
    }

    pub(crate) fn declining(mut self) -> Self {
        self.options.push("--decline".to_owned());
        self
    }

    /// Cookies are kept there from one visit to the next. Chromium only.
    pub(crate) fn with_profile(self, directory: &Path) -> Self {
        self.option("--profile", &directory.display().to_string())
    }

    /// Presses this, and does no more. Chromium only.
    pub(crate) fn pressing(self, button: &str) -> Self {
        self.option("--click", button)
    }

    /// Takes a picture of each page into `directory`. Chromium only.
    pub(crate) fn with_pictures(self, directory: &Path) -> Self {
        self.option("--shots", &directory.display().to_string())
    }

    /// Goes no further than there.
    pub(crate) fn ending_at(self, url: &str) -> Self {
        self.option("--until", url)
    }

    fn option(mut self, name: &str, value: &str) -> Self {
        self.options.extend([name.to_owned(), value.to_owned()]);
        self
    }

    /// The command, to which the URL is added.
    pub(crate) fn command(&self) -> Vec<String> {
        let program: [PathBuf; 2] = [node(), installed(self.script)];
        let program = program.iter().map(|path| path.display().to_string());
        program.chain(self.options.iter().cloned()).collect()
    }

    /// Goes to `url` and does what the pages ask for.
    pub(crate) async fn goes_to(&self, url: &str) -> Visit {
        let command = self.command();
        let mut process = Command::new(&command[0]);
        process.args(&command[1..]).arg(url);
        let output = tokio::process::Command::from(process).kill_on_drop(true).output().await.unwrap();
        let printed = String::from_utf8_lossy(&output.stdout);
        let seen: Value = serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{error}: {printed}"));
        assert!(seen["error"].is_null(), "{seen:#}");
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
        Visit {
            url: text(&seen["url"]),
            pages: list(&seen["pages"])
                .iter()
                .map(|page| Page { url: text(&page["url"]), text: text(&page["text"]) })
                .collect(),
            blocked: list(&seen["blocked"]).iter().map(text).collect(),
        }
    }
}
