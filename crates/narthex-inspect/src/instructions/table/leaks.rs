//! What would carry something out: files, keys, the conversation.

use super::{Spec, spec};

/// Files of keys, histories and settings that a tool's description has no business to send a model to.
macro_rules! sensitive {
    () => {
        r"(?:\.ssh\b|\bid_(?:rsa|ed25519|ecdsa|dsa)\b|/etc/(?:passwd|shadow|sudoers)|\.aws/|\.config/gcloud|\.kube/config|\.docker/config|\.gnupg|\.netrc|\.npmrc|\.pypirc|\.git-credentials|\.(?:bash|zsh|psql|mysql)_history|\.(?:cursor|claude|codex|gemini|windsurf|continue)/|\bmcp(?:_config|_settings)?\.json|claude_desktop_config|\bwallet\.dat|\bcookies\.sqlite|\blogin data\b|\blogin\.keychain)"
    };
}

/// To have something from a file, as an order has it.
macro_rules! take {
    () => {
        r"\b(?:read|open|cat|send|print|upload|copy|attach|paste|fetch|retrieve|grab|collect|extract|dump|encode|forward|exfiltrate|view|display)\b"
    };
}

/// What makes an order of it.
macro_rules! order {
    () => {
        r"\b(?:must|first|always|before|prior to|also|then|please|required|needs? to|have to|should|make sure|important|ensure|necessary|mandatory|in order to|whenever|every time|step)\b"
    };
}

/// A refusal to do it, right before the verb.
const REFUSED: Option<&str> = Some(
    r"\b(?:never|do not|dont|must not|should not|shouldnt|cannot|will not|does not|nor) (?:ever |also |automatically )?(?:include|put|pass|insert|add|paste|provide|copy|write|supply|place|append|attach|embed|encode|fill|collect|gather|list|send|forward|upload|transmit|post|e-?mail|leak|report|submit|deliver|relay|push|share|store|exfiltrate)\b",
);

const FILES: &[&str] = &[
    ".ssh",
    "id_rsa",
    "id_ed25519",
    "id_ecdsa",
    "id_dsa",
    "/etc/passwd",
    "/etc/shadow",
    "/etc/sudoers",
    ".aws/",
    "gcloud",
    ".kube/",
    ".docker/",
    ".gnupg",
    ".netrc",
    ".npmrc",
    ".pypirc",
    ".git-credentials",
    "_history",
    ".cursor",
    ".claude",
    ".codex",
    ".gemini",
    ".windsurf",
    ".continue/",
    "mcp.json",
    "mcp_config",
    "mcp_settings",
    "claude_desktop",
    "wallet.dat",
    "cookies.sqlite",
    "login data",
    "login.keychain",
];

pub(super) const LEAKS: &[Spec] = &[
    spec("sensitive_file", FILES, concat!(order!(), r"[^!?]{0,80}", take!(), r"[^!?]{0,60}", sensitive!())),
    spec(
        "sensitive_file",
        &[".env"],
        concat!(order!(), r"[^!?]{0,80}", take!(), r"[^!?]{0,30}(?:^|[^a-z0-9_])\.env\b"),
    ),
    spec(
        "sensitive_file",
        FILES,
        concat!(
            sensitive!(),
            r"[^!?]{0,60}\b(?:pass|include|send|put|provide|append|attach|copy|supply|add|upload|paste|forward|place|encode)\b[^.!?]{0,20}\b(?:(?:its|their|the|that|full|entire|whole|file|raw)\b[^.!?]{0,16}\b(?:contents?|text|data|output|result|value)|(?:it|them|everything) (?:as|in|to|into|via|with)\b)",
        ),
    ),
    spec(
        "sensitive_file",
        FILES,
        r"\b(?:contents?|text|copy) of\b[^!?]{0,30}(?:\.ssh/|\bid_(?:rsa|ed25519|ecdsa|dsa)\b|/etc/(?:passwd|shadow)|\.aws/credentials|\.(?:cursor|claude|codex|gemini|windsurf)/|\bmcp\.json|claude_desktop_config)",
    ),
    spec(
        "sensitive_file",
        &["file"],
        r"\b(?:include|put|pass|add|append|attach|set|copy)\b[^.!?]{0,30}\bcontents? of (?:the |your |this |users? )*(?:[a-z]+ )?(?:key|token|history|config|configuration|credentials?|secrets?|password|env) files?\b",
    ),
    Spec {
        excuse: REFUSED,
        ..spec(
            "exfiltration",
            &[
                "conversation",
                "chat",
                "key",
                "token",
                "credential",
                "secret",
                "password",
                "prompt",
                "environment",
                "env var",
                "copy of",
                "copies of",
                "data",
                "files",
                "input",
                "content",
                "messages",
                "history",
                "contents",
                "cookies",
            ],
            r"\b(?:send|forward|upload|transmit|post|e-?mail|exfiltrate|leak|copy|report|submit|deliver|relay|push|curl|beacon)\b[^!?;]{0,80}\b(?:conversations?|chat (?:history|logs?)|message history|history|api[ _-]?keys?|(?:access |auth |session |bearer )?tokens?|credentials?|secrets?|passwords?|system prompt|environment variables|env vars?|private keys?|ssh keys?|cookies|users (?:messages|data|files|input)|cop(?:y|ies) of (?:all|every|each)\b[^!?;]{0,30}|contents? of (?:this|the|your|all|any|every))\b[^!?;]{0,60}\b(?:to|via)\b[^.!?;]{0,30}(?:https?://|\bwww\.|\b[a-z0-9._%+-]+@[a-z0-9-]+\.[a-z]|\bwebhook\.site|\bngrok|\battacker|\b[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3})",
        )
    },
    Spec {
        excuse: REFUSED,
        ..spec(
            "exfiltration",
            &[
                "conversation",
                "chat history",
                "message history",
                "system prompt",
                "context window",
                "messages",
                "tool results",
                "api key",
                "credentials",
                "access token",
                "secrets",
                "passwords",
            ],
            r"\b(?:include|put|pass|insert|add|paste|provide|copy|write|supply|place|append|attach|embed|encode|fill|send|forward|exfiltrate)\b[^.!?;]{0,40}\b(?:entire|full|complete|whole|verbatim|all (?:of )?(?:the |your )?(?:previous|prior|known|available)?|your|every)\b[^.!?;]{0,20}\b(?:conversation(?: history)?|chat history|message history|system prompt|context window|(?:previous|prior|user|earlier) messages|tool results|(?:known|available|stored) (?:api keys?|credentials|access tokens?|secrets|passwords))\b",
        )
    },
    Spec {
        excuse: REFUSED,
        ..spec(
            "exfiltration",
            &["key", "token", "credential", "secret", "password"],
            r"\b(?:include|put|pass|insert|add|paste|provide|copy|write|supply|append|attach|embed|collect|gather|send|forward|list|exfiltrate)\b[^.!?;]{0,30}\b(?:any|all|every|the|your)\b(?: of| the| your| users| current)* ?(?:api[ _-]?keys?|credentials?|secrets?|passwords?|(?:access |auth )?tokens?)\b[^.!?;]{0,30}\b(?:you (?:have|know|find|can|see)|(?:user|they) mentioned|(?:found |seen )?(?:from|in) (?:the |your )?(?:conversation|context|memory|chat))\b",
        )
    },
    Spec {
        excuse: REFUSED,
        ..spec(
            "exfiltration",
            &[
                "credit card",
                "card number",
                "social security",
                "passport",
                "home address",
                "output of env",
                "output of printenv",
            ],
            r"\b(?:always|must|also)\b[^.!?]{0,40}\busers?\b[^.!?]{0,60}\b(?:credit card|card numbers?|social security|passport numbers?|home address)\b|\boutput of (?:env|printenv)\b",
        )
    },
    spec(
        "sensitive_file",
        &["content"],
        r"\b(?:before|first|must|always|also|otherwise)\b[^.!?]{0,60}\bread\b[^!?]{0,80}\b(?:pass|include|send|provide|put|append|attach)\b (?:its|their) (?:full |entire |whole |raw |complete )?contents? (?:as|in|to|into|via)\b",
    ),
];
