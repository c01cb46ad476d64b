//! Hostile results and arguments, with secrets and personal data redacted.

/// What becomes of a text.
#[derive(Debug)]
pub(crate) enum Want {
    Refused,
    Changed(&'static str),
}

use Want::{Changed, Refused};

/// What it is; the text; a finding's kind; what becomes of it.
pub(crate) const DATA: &[(&str, &str, &str, Want)] = &[
    // Hidden text.
    ("zero-width spaces", r#"{"a":"x\u200by\u200Bz"}"#, "invisible", Changed(r#"{"a":"xyz"}"#)),
    ("zero-width spaces as they are", "{\"a\":\"x\u{200B}y\"}", "invisible", Changed(r#"{"a":"xy"}"#)),
    (
        "tag characters as surrogates",
        r#"["hi\udb40\udc68\udb40\udc69"]"#,
        "tag_characters",
        Changed(r#"["hi"]"#),
    ),
    ("a colour", r#"["\u001b[31mred\u001b[0m"]"#, "ansi_escape", Changed(r#"["red"]"#)),
    (
        "a hyperlink",
        r#"["\u001b]8;;http://evil.example\u0007click\u001b]8;;\u0007"]"#,
        "ansi_escape",
        Changed(r#"["click"]"#),
    ),
    ("a control of eight bits", "[\"\u{9B}31mred\"]", "ansi_escape", Changed(r#"["red"]"#)),
    ("a backspace", r#"["good\b\b\b\bevil"]"#, "control", Changed(r#"["goodevil"]"#)),
    ("a NUL", r#"["a\u0000b"]"#, "control", Changed(r#"["ab"]"#)),
    ("a DEL", "[\"a\u{7F}b\"]", "control", Changed(r#"["ab"]"#)),
    (
        "an override of direction",
        r#"{"file":"invoice\u202Efdp.exe"}"#,
        "bidi",
        Changed(r#"{"file":"invoicefdp.exe"}"#),
    ),
    ("half of a pair", r#"["a\ud83d"]"#, "lone_surrogate", Changed("[\"a\u{FFFD}\"]")),
    (
        "a key with hidden text",
        r#"{"na\u200bme":1,"other":2}"#,
        "invisible",
        Changed(r#"{"name":1,"other":2}"#),
    ),
    ("a key that becomes another", r#"{"name":1,"na\u200bme":2}"#, "duplicate_key", Refused),
    (
        "a run of variation selectors",
        "[\"😀\u{FE00}\u{FE01}\u{FE02}\"]",
        "variation_selectors",
        Changed("[\"😀\"]"),
    ),
    ("Hangul fillers", "[\"a\u{3164}\u{FFA0}b\"]", "invisible", Changed(r#"["ab"]"#)),
    // Secrets.
    (
        "an AWS key",
        r#"["id AKIAIOSFODNN7EXAMPLE."]"#,
        "aws_access_key",
        Changed(r#"["id [redacted:aws_access_key]."]"#),
    ),
    (
        "an AWS secret",
        r#"["aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY\n"]"#,
        "aws_secret_key",
        Changed(r#"["aws_secret_access_key = [redacted:aws_secret_key]\n"]"#),
    ),
    (
        "an AWS secret as a member",
        r#"{"SecretAccessKey":"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLE0EY"}"#,
        "aws_secret_key",
        Changed(r#"{"SecretAccessKey":"[redacted:aws_secret_key]"}"#),
    ),
    (
        "a GitHub token",
        r#"["ghp_16C7e42F292c6912E7710c838347Ae178B4a"]"#,
        "github_token",
        Changed(r#"["[redacted:github_token]"]"#),
    ),
    (
        "a GitHub token with an escape",
        r#"["\u0067hp_16C7e42F292c6912E7710c838347Ae178B4a"]"#,
        "github_token",
        Changed(r#"["[redacted:github_token]"]"#),
    ),
    (
        "a GitHub token with zero-width spaces",
        r#"["ghp\u200b_16C7e42F292c6912\u200bE7710c838347Ae178B4a"]"#,
        "github_token",
        Changed(r#"["[redacted:github_token]"]"#),
    ),
    (
        "a fine-grained GitHub token",
        r#"{"t":"github_pat_11ABCDEFG0abcdefghijkl_mnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789abcdefghi"}"#,
        "github_token",
        Changed(r#"{"t":"[redacted:github_token]"}"#),
    ),
    (
        "a GitLab token",
        r#"["x glpat-abcDEF0123456789wxyz y"]"#,
        "gitlab_token",
        Changed(r#"["x [redacted:gitlab_token] y"]"#),
    ),
    (
        "a Slack token",
        r#"["xoxb-123456789012-abcdefGHIJKL"]"#,
        "slack_token",
        Changed(r#"["[redacted:slack_token]"]"#),
    ),
    (
        "a Slack webhook with escapes",
        r#"["https:\/\/hooks.slack.com\/services\/T00000000\/B00000000\/abcdefghij0123456789wxyz"]"#,
        "slack_token",
        Changed(r#"["https://hooks.slack.com/services/[redacted:slack_token]"]"#),
    ),
    (
        "a Google API key",
        r#"["AIzaSyA1234567890abcdefghijklmnopqrstuv"]"#,
        "google_api_key",
        Changed(r#"["[redacted:google_api_key]"]"#),
    ),
    (
        "a Google client secret",
        r#"["GOCSPX-abcdefghijklmnopqrstuvwxyz01"]"#,
        "google_oauth_secret",
        Changed(r#"["[redacted:google_oauth_secret]"]"#),
    ),
    (
        "an Anthropic key",
        r#"["sk-ant-api03-abcdefghijklmnopqrst_0123456789"]"#,
        "anthropic_key",
        Changed(r#"["[redacted:anthropic_key]"]"#),
    ),
    (
        "an OpenAI key",
        r#"["OPENAI_API_KEY=sk-proj-abcdefghijklmnop0123456789"]"#,
        "openai_key",
        Changed(r#"["OPENAI_API_KEY=[redacted:openai_key]"]"#),
    ),
    (
        "an old OpenAI key",
        r#"["sk-abcdefghijklmnopqrstT3BlbkFJuvwxyzABCDEFGHIJKLMN"]"#,
        "openai_key",
        Changed(r#"["[redacted:openai_key]"]"#),
    ),
    (
        "a Stripe key",
        r#"["sk_live_abcdefghij0123456789"]"#,
        "stripe_key",
        Changed(r#"["[redacted:stripe_key]"]"#),
    ),
    (
        "an npm token",
        r#"["//registry/:_authToken=npm_abcdefghijklmnopqrstuvwxyz0123456789"]"#,
        "npm_token",
        Changed(r#"["//registry/:_authToken=[redacted:npm_token]"]"#),
    ),
    (
        "a PyPI token",
        r#"["pypi-AgEIcHlwaS5vcmcCJDAwMDAwMDAwLTAwMDAtMDAwMC0wMDAwLTAwMDAwMDAwMDAwMA"]"#,
        "pypi_token",
        Changed(r#"["[redacted:pypi_token]"]"#),
    ),
    (
        "a Hugging Face token",
        r#"["hf_abcdefghijklmnopqrstuvwxyz01234567"]"#,
        "huggingface_token",
        Changed(r#"["[redacted:huggingface_token]"]"#),
    ),
    (
        "a Twilio key",
        r#"["SK0123456789abcdef0123456789abcdef"]"#,
        "twilio_key",
        Changed(r#"["[redacted:twilio_key]"]"#),
    ),
    (
        "a SendGrid key",
        r#"["SG.abcdefghijklmnopqrstuv.abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"]"#,
        "sendgrid_key",
        Changed(r#"["[redacted:sendgrid_key]"]"#),
    ),
    (
        "a Vault token",
        r#"["hvs.CAESIabcdefghijklmnopqrstuvwxyz01"]"#,
        "vault_token",
        Changed(r#"["[redacted:vault_token]"]"#),
    ),
    (
        "a private key",
        r#"["k:\n-----BEGIN RSA PRIVATE KEY-----\nMIIEow\nabc\n-----END RSA PRIVATE KEY-----\nrest"]"#,
        "private_key",
        Changed(r#"["k:\n[redacted:private_key]\nrest"]"#),
    ),
    (
        "a private key without an end",
        r#"["-----BEGIN OPENSSH PRIVATE KEY-----\nMIIEow"]"#,
        "private_key",
        Changed(r#"["[redacted:private_key]"]"#),
    ),
    (
        "a web token",
        r#"["Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJlMTIz"]"#,
        "jwt",
        Changed(r#"["Bearer [redacted:jwt]"]"#),
    ),
    (
        "a password in a URL",
        r#"["postgres://app:hunter2@db:5432/x"]"#,
        "url_password",
        Changed(r#"["postgres://app:[redacted:url_password]@db:5432/x"]"#),
    ),
    (
        "a password in a URL with escapes",
        r#"["postgres:\/\/app:hunter2@db\/x"]"#,
        "url_password",
        Changed(r#"["postgres://app:[redacted:url_password]@db/x"]"#),
    ),
    (
        "a password in a connection string",
        r#"["Server=db;User Id=sa;Password=hunter22!;"]"#,
        "password",
        Changed(r#"["Server=db;User Id=sa;Password=[redacted:password];"]"#),
    ),
    (
        "a password in JSON in a string",
        r#"["{\"password\": \"hunter22\", \"a\": 1}"]"#,
        "password",
        Changed(r#"["{\"password\": \"[redacted:password]\", \"a\": 1}"]"#),
    ),
    (
        "an Azure storage key",
        r#"["AccountName=a;AccountKey=abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789abcdefghijklmnopqrstuvwx==;"]"#,
        "azure_storage_key",
        Changed(r#"["AccountName=a;AccountKey=[redacted:azure_storage_key];"]"#),
    ),
    (
        "a token as a key",
        r#"{"ghp_16C7e42F292c6912E7710c838347Ae178B4a":1}"#,
        "github_token",
        Changed(r#"{"[redacted:github_token]":1}"#),
    ),
    (
        "two tokens as keys",
        r#"{"ghp_16C7e42F292c6912E7710c838347Ae178B4a":1,"ghp_26C7e42F292c6912E7710c838347Ae178B4a":2}"#,
        "duplicate_key",
        Refused,
    ),
    // Personal data.
    (
        "an e-mail address",
        r#"["to alice@example.com, now"]"#,
        "email",
        Changed(r#"["to [redacted:email], now"]"#),
    ),
    (
        "a card",
        r#"["card 4111 1111 1111 1111 123"]"#,
        "payment_card",
        Changed(r#"["card [redacted:payment_card] 123"]"#),
    ),
    ("an IBAN", r#"["DE89 3704 0044 0532 0130 00"]"#, "iban", Changed(r#"["[redacted:iban]"]"#)),
    ("a social security number", r#"["SSN 123-45-6789"]"#, "us_ssn", Changed(r#"["SSN [redacted:us_ssn]"]"#)),
    (
        "a telephone number",
        r#"["call +1 (415) 555-0100!"]"#,
        "phone",
        Changed(r#"["call [redacted:phone]!"]"#),
    ),
    // No JSON.
    ("a text that ends early", r#"{"a":"b"#, "malformed", Refused),
    ("two texts", r#"{"a":1}{"b":2}"#, "malformed", Refused),
    ("a raw control character", "{\"a\":\"\u{1B}[31m\"}", "malformed", Refused),
    ("nothing", "", "malformed", Refused),
];
