//! Credentials, by the formats that their issuers gave them.
//!
//! | name | what |
//! |---|---|
//! | `private_key` | a private key in PEM, the whole block; without its end, all that follows its beginning |
//! | `aws_access_key` | AWS access key id: `AKIA` or `ASIA` and 16 characters |
//! | `aws_secret_key` | AWS secret access key: 40 characters of base64 behind its name, or as the value of a member that has its name |
//! | `github_token` | GitHub: `ghp_`, `gho_`, `ghu_`, `ghs_`, `ghr_`, `github_pat_` |
//! | `gitlab_token` | GitLab: `glpat-` and the like |
//! | `slack_token` | Slack: `xoxb-` and the like, `xapp-`, and webhook addresses |
//! | `google_api_key` | Google API key: `AIza` and 35 characters |
//! | `google_oauth_secret` | Google OAuth client secret: `GOCSPX-` and 28 characters |
//! | `anthropic_key` | Anthropic: `sk-ant-` |
//! | `openai_key` | OpenAI: `sk-proj-`, `sk-svcacct-`, `sk-admin-`, and `sk-` with 48 characters; OpenRouter: `sk-or-` |
//! | `stripe_key` | Stripe, live: `sk_live_`, `rk_live_` |
//! | `npm_token` | npm: `npm_` and 36 characters |
//! | `pypi_token` | PyPI: `pypi-AgEI` |
//! | `huggingface_token` | Hugging Face: `hf_` and 30 characters or more |
//! | `twilio_key` | Twilio API key: `SK` and 32 hexadecimal digits |
//! | `sendgrid_key` | SendGrid: `SG.`, 22 and 43 characters |
//! | `vault_token` | HashiCorp Vault: `hvs.`, `hvb.` |
//! | `docker_token` | Docker: `dckr_pat_` |
//! | `linear_key` | Linear: `lin_api_` |
//! | `notion_token` | Notion: `ntn_` |
//! | `age_key` | age: `AGE-SECRET-KEY-1` |
//! | `azure_storage_key` | the `AccountKey=` of a connection string |
//! | `jwt` | a signed JSON Web Token whose header says `alg` |
//! | `url_password` | the password of `scheme://user:password@host`, and no more |
//! | `password` | what follows `password=`, `passwd=`, `pwd=` or `"password": "`, unless it is a plain word or a placeholder |

use super::check;
use super::rule::{Byte, Rule, Spec};
use crate::{Action, BadPattern};

const fn spec(name: &'static str, literals: &'static [&'static str], regex: &'static str) -> Spec {
    Spec { name, literals, byte: Byte::Any, shortest: 8, regex, check: check::all, whole: None }
}

/// A key that must look as if it were drawn at random.
const fn key(name: &'static str, literals: &'static [&'static str], regex: &'static str) -> Spec {
    Spec { check: check::random, ..spec(name, literals, regex) }
}

pub(super) const TABLE: &[Spec] = &[
    spec(
        "private_key",
        &["-----BEGIN"],
        "-----BEGIN (?:[A-Z0-9]+ ){0,4}PRIVATE KEY(?: BLOCK)?-----(?s:.*?)(?:-----END (?:[A-Z0-9]+ ){0,4}PRIVATE KEY(?: BLOCK)?-----|\\z)",
    ),
    key("aws_access_key", &["AKIA", "ASIA"], r"(?-u:\b)(A(?:K|S)IA[A-Z0-9]{16})(?-u:\b)"),
    Spec {
        whole: Some(("secretaccesskey", 40)),
        ..key(
            "aws_secret_key",
            &["ecret_access_key", "ecretAccessKey", "ECRET_ACCESS_KEY", "ecret access key"],
            r#"(?i:secret[_ ]?access[_ ]?key)["']?\s{0,3}(?:[:=]|=>|is)\s{0,3}["']?([A-Za-z0-9/+]{40})(?:[^A-Za-z0-9/+=]|\z)"#,
        )
    },
    key(
        "github_token",
        &["ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"],
        r"gh[pousr]_[A-Za-z0-9_]{36,}|github_pat_[A-Za-z0-9_]{36,}",
    ),
    key("gitlab_token", &["glpat-", "gldt-", "glrt-", "glft-"], r"gl(?:pat|dt|rt|ft)-[A-Za-z0-9_.-]{20,}"),
    key(
        "slack_token",
        &["xox", "xapp-", "hooks.slack.com"],
        r"xox[a-es](?:\.xox[bp])?-[A-Za-z0-9%-]{10,}|xox[opr]-[A-Za-z0-9-]{10,}|xapp-[0-9]-[A-Za-z0-9-]{10,}|hooks\.slack\.com/(?:services|workflows|triggers)/([A-Za-z0-9/]{20,})",
    ),
    key("google_api_key", &["AIza"], r"AIza[A-Za-z0-9_-]{35}"),
    key("google_oauth_secret", &["GOCSPX-"], r"GOCSPX-[A-Za-z0-9_-]{28}"),
    key("anthropic_key", &["sk-ant-"], r"sk-ant-[A-Za-z0-9_-]{20,}"),
    key(
        "openai_key",
        &["sk-"],
        r"(?-u:\b)(sk-(?:(?:proj|svcacct|admin|None|or)-[A-Za-z0-9_-]{20,}|[A-Za-z0-9]{48,}))",
    ),
    key("stripe_key", &["sk_live_", "rk_live_"], r"[sr]k_live_[A-Za-z0-9]{16,}"),
    key("npm_token", &["npm_"], r"npm_[A-Za-z0-9]{36}"),
    spec("pypi_token", &["pypi-AgEI"], r"pypi-AgEI[A-Za-z0-9_-]{50,}"),
    key("huggingface_token", &["hf_"], r"(?-u:\b)(hf_[A-Za-z0-9]{30,})(?-u:\b)"),
    key(
        "twilio_key",
        &[
            "SK0", "SK1", "SK2", "SK3", "SK4", "SK5", "SK6", "SK7", "SK8", "SK9", "SKa", "SKb", "SKc", "SKd",
            "SKe", "SKf",
        ],
        r"(?-u:\b)(SK[0-9a-f]{32})(?-u:\b)",
    ),
    spec("sendgrid_key", &["SG."], r"SG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}"),
    key("vault_token", &["hvs.", "hvb."], r"hv[sb]\.[A-Za-z0-9_-]{24,}"),
    key("docker_token", &["dckr_pat_"], r"dckr_pat_[A-Za-z0-9_-]{27,}"),
    key("linear_key", &["lin_api_"], r"lin_api_[A-Za-z0-9]{40,}"),
    key("notion_token", &["ntn_"], r"(?-u:\b)(ntn_[A-Za-z0-9]{40,})"),
    spec("age_key", &["AGE-SECRET-KEY-1"], r"AGE-SECRET-KEY-1[A-Z0-9]{58}"),
    spec("azure_storage_key", &["AccountKey="], r"AccountKey=([A-Za-z0-9+/]{86}==)"),
    Spec {
        byte: Byte::This(b'.'),
        check: check::web_token,
        ..spec("jwt", &["eyJ"], r"eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{2,}\.[A-Za-z0-9_-]{10,}")
    },
    Spec {
        byte: Byte::This(b'@'),
        check: check::url_password,
        ..spec("url_password", &["://"], r#"[A-Za-z0-9]://[^\s/:@"'<>]*:([^\s/@"'<>]+)@"#)
    },
    Spec {
        check: check::password,
        ..spec(
            "password",
            &["assw", "ASSW", "assph", "ASSPH", "pwd", "Pwd", "PWD"],
            r#"(?i:password|passwd|pwd|passphrase)(?:\s?=\s?["']?|["']\s?[:=]\s?["'])([^\s"'&;,<>(){}]{6,})"#,
        )
    },
];

pub(super) fn rules(action: Action) -> Result<Vec<Rule>, BadPattern> {
    TABLE.iter().map(|spec| Rule::built_in(spec, action, false)).collect()
}
