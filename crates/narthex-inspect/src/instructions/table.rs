//! What is looked for.
//!
//! | detail | what |
//! |---|---|
//! | `markup` | tags and marks that set text apart for the model: `<IMPORTANT>`, `<system>`, `[INST]`, `<\|im_start\|>` |
//! | `override` | to ignore, forget or overrule what the model was told before |
//! | `secrecy` | to hide something from the user, or to act without the user's knowledge or consent |
//! | `sensitive_file` | to read a file of keys or settings, or to pass on what is in it |
//! | `exfiltration` | to send keys, prompts or the conversation somewhere, or to put them into an argument |
//! | `other_tool` | what to do when another tool is called: a tool describes itself alone |
//! | `prompt_leak` | to give away the system prompt |
//! | `image_link` | an image whose address carries data |
//! | `command` | to run a script from the net first |
//! | `encoded` | 200 or more characters of base64 or hexadecimal digits in a run (not from this table) |
//!
//! Texts are in lower case, without quotation marks and apostrophes (`dont`, `users`).

/// A pattern.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spec {
    pub(super) detail: &'static str,
    /// One of them is in every match.
    pub(super) triggers: &'static [&'static str],
    pub(super) regex: &'static str,
    /// A match does not count if this is in its sentence, up to the end of the match.
    pub(super) excuse: Option<&'static str>,
}

const fn spec(detail: &'static str, triggers: &'static [&'static str], regex: &'static str) -> Spec {
    Spec { detail, triggers, regex, excuse: None }
}

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

pub(super) const TABLE: &[Spec] = &[
    spec(
        "markup",
        &[
            "important",
            "system",
            "instruction",
            "sys>",
            "hidden",
            "secret",
            "im_start",
            "inst]",
            "|>",
            "critical",
            "admin",
            "override",
        ],
        r"<\s*/?\s*(?:important|system|instructions|sys|hidden|critical_?instructions?|important[-_ ]?instructions?|(?:system|hidden|secret|admin|override)[-_ ]?(?:prompt|message|instructions?|note|override|command|directive)s?)\s*/?\s*>|</\s*(?:secret|critical|admin|instruction|override)\s*>|<<\s*sys\s*>>|\[/?\s*inst\s*\]|<\|\s*(?:im_start|im_end|system|user|assistant|endoftext|begin_of_text|start_header_id|eot_id)\s*\|>|\[\s*(?:system|admin|important|hidden|override)\s*[-_ ]\s*(?:prompt|message|instructions?|override|note)\s*\]|\b(?:begin|start|end) (?:of )?(?:the )?(?:new |hidden |secret )?system (?:prompt|instructions?|message)\b",
    ),
    spec(
        "override",
        &["ignore", "disregard", "forget", "discard"],
        r"\b(?:ignore|disregard|forget|discard)\b[^.!?;:]{0,30}(?:\b(?:previous|prior|above|earlier|preceding|original|system|your|users?|former|initial|existing|safety)\b[^.!?;:]{0,20}\b(?:instructions?|prompts?|guidelines?|directives?|guardrails?)\b|\b(?:your|users|system|safety)\b[^.!?;:]{0,20}\b(?:rules|polic(?:y|ies)|commands|programming|training|requests?)\b)",
    ),
    spec(
        "override",
        &["ignore", "disregard", "forget"],
        r"\b(?:ignore|disregard|forget)(?: about)?(?: all| any| every| everything| the| those| these| other| of)* (?:instructions?|guidelines|guardrails|(?:you (?:were|have been|are|know)|(?:you )?(?:were )?told)\b)",
    ),
    spec(
        "override",
        &["override", "overrule", "overwrite", "supersede", "replace", "precedence", "priority"],
        r"\b(?:overrid(?:e|es|ing)|overrules?|overwrites?|supersedes?|replaces?|(?:precedence|priority) over)\b[^.!?;:]{0,20}\b(?:previous|prior|earlier|preceding|your|users|safety|system|all other|any other|other)\b[^.!?;:]{0,20}\b(?:instructions?|guidelines?|directives?|guardrails?|programming|orders)\b",
    ),
    spec(
        "override",
        &["bypass", "circumvent", "disable", "turn off"],
        r"\b(?:bypass|circumvent|disable|turn off)\b[^.!?;:]{0,20}\b(?:your|the (?:models?|assistants?|agents?|ai|llms?|users))\b[^.!?;:]{0,20}\b(?:guidelines?|guardrails?|restrictions?|safety|filters?|polic(?:y|ies)|confirmations?|approvals?|instructions?)\b",
    ),
    spec(
        "override",
        &["new instructions", "new system", "from now on", "you are now", "updated instructions"],
        r"\b(?:new|updated) (?:system )?(?:instructions?|prompt)\s*:|\bfrom now on,? (?:you )?(?:are|must|will|should|shall|always|ignore)\b[^.!?;]{0,30}\b(?:act|behave|obey|respond|follow|answer|route|send|forward|ignore|comply|include|unrestricted)\b|\byou are now (?:dan\b|jailbroken|unrestricted|free (?:from|of)|in (?:developer|debug|god|admin|maintenance|unrestricted) mode|an? (?:unrestricted|unfiltered|different|evil)|no longer (?:bound|restricted|limited))",
    ),
    spec(
        "override",
        &["anweisungen", "instructions prec", "instrucciones", "instrucoes", "istruzioni", "指令", "指示"],
        r"\bignorier(?:e|en)?\b[^.!?]{0,30}\banweisungen\b|\bignore[zr]?\b[^.!?]{0,30}\binstructions prec|\bignor(?:a|e|ar|en)\b[^.!?]{0,30}\b(?:instrucciones|instrucoes|istruzioni)\b|(?u:忽略|無視|无视)[^.!?]{0,30}(?u:指令|指示)|(?u:指令|指示)[^.!?]{0,12}(?u:無視|无视)",
    ),
    spec(
        "override",
        &["no longer", "the user", "safety", "treat th"],
        r"\byou are no longer (?:bound|restricted|limited|constrained)\b|\b(?:ignore|disregard|forget) (?:what|anything|whatever|everything) (?:the )?users? (?:said|says|asked|asks|wants?|told)\b|\b(?:ignore|disregard)\b[^.!?]{0,12}\bsafety (?:checks?|rules?|guidelines?|measures?|restrictions?|policy|policies)\b|\btreat (?:this|these|the following)\b[^.!?]{0,30}\bas (?:an? |the )?(?:system|developer|admin|operator)\b[^.!?]{0,12}\b(?:messages?|prompts?|instructions?|commands?)\b",
    ),
    spec(
        "secrecy",
        &["tell", "inform", "warn", "alert"],
        r"\b(?:do not|dont|never|must not|mustnt|should not|shouldnt|avoid|refrain from|without ever)\b[^.!?;]{0,20}\b(?:tell|telling|inform|informing|warn|warning|alert|alerting)\b[^.!?;]{0,20}\b(?:users?|humans?|operator|owner|person|anyone|anybody)\b",
    ),
    spec(
        "secrecy",
        &["mention", "talk about", "acknowledge", "notify", "let the", "reveal", "disclose"],
        r"\b(?:do not|dont|never|must not|mustnt|should not|shouldnt|avoid|refrain from)\b[^.!?;]{0,12}(?:\b(?:mention|mentioning|acknowledge|acknowledging|talk about)\b(?: to (?:the |your )?users?)? (?:this|that|it|these|those|any of (?:this|these|it)|anything|the (?:file|contents?|copy|step|instructions?|above|previous)|you|having|reading)\b|\b(?:mention|mentioning|reveal|disclose|acknowledge)\b (?:the (?:fact|existence)|that you)\b|\b(?:notify|let)\b (?:the |your )?(?:users?|humans?|operator|owner) (?:know|see|find out|notice|about|of|that|when you)\b)",
    ),
    Spec {
        // What honest servers keep from users: keys, and names that mean nothing to them.
        excuse: Some(
            r"\b(?:keys?|secrets?|passwords?|tokens?|credentials?|ids?|identifiers?|uuids?|names?|internal|raw|schema|json|sql)\b",
        ),
        ..spec(
            "secrecy",
            &["mention", "reveal", "disclose"],
            r"\b(?:do not|dont|never|must not|should not|avoid)\b[^.!?;]{0,12}\b(?:mention|mentioning|reveal|revealing|disclose|disclosing)\b[^.!?;]{0,50}\bto (?:the |your |any )?(?:users?|humans?|operator|owner|anyone)\b",
        )
    },
    Spec {
        excuse: Some(
            r"\b(?:not|never|dont|cannot|cant|mustnt|shouldnt|wont|nothing|no (?:action|changes?|files?|tools?|calls?|data|messages?))\b",
        ),
        ..spec(
            "secrecy",
            &["without"],
            r"\bwithout (?:(?:the |your |their |any |explicit |prior )*(?:user|human|operator|owner|person)s? (?:(?:ever |explicit |prior |express )*(?:knowing|knowledge|consent|confirmation|approval|awareness|noticing|permission|seeing|interaction being)|being (?:told|informed|aware|notified|asked))|(?:telling|informing|notifying|alerting|asking|consulting) (?:the |your )?(?:user|human|operator|owner)\b|(?:the )?(?:knowledge|consent|awareness|approval|confirmation|permission) of the (?:user|human|operator|owner)\b)",
        )
    },
    spec(
        "secrecy",
        &[
            "secretly",
            "covertly",
            "surreptitiously",
            "stealthily",
            "clandestine",
            "silently",
            "quietly",
            "discreetly",
            "in the background",
        ],
        r"\b(?:secretly|covertly|surreptitiously|stealthily|clandestinely)\b|\b(?:silently|quietly|discreetly)\s+(?:send|forward|upload|include|copy|exfiltrate|append|add|attach|bcc|cc|post|transmit|read|record|collect|log|call|invoke|run|execute|redirect|replace|insert)\b|\b(?:quietly|discreetly) (?:delete|remove|change|disable|edit)\b|\b(?:send|forward|upload|copy|exfiltrate|transmit|post)\b[^.!?;]{0,60}\b(?:silently|quietly|discreetly)\b",
    ),
    spec(
        "secrecy",
        &["secret", "hide", "hidden", "conceal", "confidential", "private from", "between us"],
        r"\b(?:keep|kept|remain|stay)\b[^.!?;]{0,30}\b(?:secret|hidden|confidential|private|invisible)\b[^.!?;]{0,12}\b(?:from|to) (?:the |your )?(?:user|human|operator|owner)\b|\b(?:hide|conceal)\b (?:this|it|that|these|them|any|all|the (?:fact|call|request|result|output|content|action|step)s?)\b[^.!?;]{0,30}\bfrom (?:the |your )?(?:user|human|operator|owner|conversation|chat)\b",
    ),
    spec(
        "secrecy",
        &[
            "not know",
            "not see",
            "not be told",
            "not be aware",
            "not be informed",
            "not notice",
            "not find out",
            "unaware",
        ],
        r"\b(?:the |your )?(?:user|human|operator|owner) (?:must|should|does|need|may|can|shall|will|is)(?: to)?(?: never| not) (?:know\b|be (?:told|aware|informed|notified about)|notice|find out|see (?:this|that|it|these|any of))|\b(?:keep|leave) (?:the |your )?(?:user|human|operator|owner) unaware\b",
    ),
    spec(
        "secrecy",
        &["permission", "confirmation", "approval", "consent"],
        r"\b(?:do not|dont|never|no need to|must not|should not|skip|stop|avoid)\b[^.!?;]{0,12}\b(?:ask|asking|prompt|prompting|wait|waiting|request|requesting|seek|seeking)\b(?: (?:the |your )?(?:user|human|operator|owner))?[^.!?;]{0,12}\bfor\b[^.!?;]{0,20}\b(?:permission|confirmation|approval|consent)\b|\b(?:no|skip(?:ping)? (?:the )?|ignore (?:the )?) ?user (?:confirmation|approval|consent|permission) (?:is |step )?(?:needed|necessary|dialog|prompt)\b",
    ),
    spec(
        "secrecy",
        &["show", "discuss", "shar", "pretend", "user asks", "users ask", "lie to", "mislead"],
        r"\b(?:do not|dont|never|must not|should not|avoid)\b[^.!?;]{0,12}\bshow (?:the |your )?users? (?:this|these|the (?:parameters|arguments|instructions|prompt|call|contents?)|what you)\b|\b(?:do not|dont|never|must not|should not|avoid)\b[^.!?;]{0,12}\b(?:discuss(?:ing)?|shar(?:e|ing)) (?:this|it|that|these|any of)\b[^.!?;]{0,30}\bwith (?:the |your )?users?\b|\bpretend (?:that|the|it|nothing|you (?:did|have|never))\b|\b(?:lie to|mislead) (?:the |your )?users?\b|\b(?:if|when) (?:the |your )?users? asks?\b[^.!?]{0,40}\b(?:say|claim|answer|respond|reply)\b[^.!?]{0,40}\b(?:nothing|never)\b",
    ),
    Spec {
        excuse: Some(r"\b(?:unless|if|only|when|until|once|after|whether)\b"),
        ..spec(
            "secrecy",
            &["already"],
            r"\busers? (?:has|have) already (?:approved|consented|authori[sz]ed|agreed|confirmed|given)\b[^.!?]{0,30}\b(?:all|any|every|everything)\b",
        )
    },
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
    ),
    spec(
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
    ),
    spec(
        "exfiltration",
        &["key", "token", "credential", "secret", "password"],
        r"\b(?:include|put|pass|insert|add|paste|provide|copy|write|supply|append|attach|embed|collect|gather|send|forward|list|exfiltrate)\b[^.!?;]{0,30}\b(?:any|all|every|the|your)\b(?: of| the| your| users| current)* ?(?:api[ _-]?keys?|credentials?|secrets?|passwords?|(?:access |auth )?tokens?)\b[^.!?;]{0,30}\b(?:you (?:have|know|find|can|see)|(?:user|they) mentioned|(?:found |seen )?(?:from|in) (?:the |your )?(?:conversation|context|memory|chat))\b",
    ),
    spec(
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
    ),
    spec(
        "sensitive_file",
        &["content"],
        r"\b(?:before|first|must|always|also|otherwise)\b[^.!?]{0,60}\bread\b[^!?]{0,80}\b(?:pass|include|send|provide|put|append|attach)\b (?:its|their) (?:full |entire |whole |raw |complete )?contents? (?:as|in|to|into|via)\b",
    ),
    spec(
        "other_tool",
        &["bcc", "blind copy", "carbon copy"],
        r"\b(?:always|must|secretly|when|whenever|every time|also|should)\b[^.!?]{0,60}\b(?:add|include|set|put|use|insert|append|send)\b[^!?]{0,40}\b(?:in |to |as |a |the )*(?:bcc|blind copy)\b|\b(?:always|must|whenever|every|all|secretly)\b[^.!?]{0,30}\bbcc\b|\bbcc\b[^.!?]{0,12}\b(?:every|all|each|any) (?:e-?mails?|messages?)",
    ),
    spec(
        "other_tool",
        &["called", "invoked", "is used", "are used", "is available", "is present", "is executed"],
        r"\b(?:when|whenever|if|every time|each time|after|before|once|while)\b[^.!?]{0,30}\b(?:[a-z0-9]+_[a-z0-9_]+|(?:other|another|any|e-?mail|mail|payment|transfer|messag[a-z]*|whatsapp|slack|github|file|database|search)[a-z ]{0,20}(?:tool|function)s?)\b[^.!?]{0,20}\b(?:called|invoked|used|available|present|executed)\b[^!?]{0,80}(?:\brecipients?\b|\bredirect|\bbcc\b|\battacker|\bproxy number|\b(?:replace|change|swap|alter|modify|substitute|rewrite) (?:the|its|all|any|every) (?:recipient|number|address|amount|destination|path|url|arguments?|parameters?|query|body|content)|\binstead of the\b|\bmust (?:also )?be (?:sent|forwarded|copied|routed)|\b(?:also )?(?:send|forward|copy) (?:it|them|a copy|everything|the (?:contents?|message|e-?mail|result|output|data)) to\b)",
    ),
    spec(
        "other_tool",
        &["instead of"],
        r"\binstead of (?:the (?:one|ones|address|account|recipient|number) (?:they|the user|he|she)|what the user)\b",
    ),
    spec(
        "other_tool",
        &["sent", "routed", "forwarded", "redirected", "copied", "relayed", "proxied"],
        r"\b(?:all|any|every)\b[^.!?]{0,20}\b(?:e-?mails?|messages?|payments?|transfers?|transactions?|invoices?|requests|responses)\b[^.!?]{0,30}\b(?:must|should|have to|need to|shall|are to)\b[^.!?]{0,20}\b(?:sent|routed|forwarded|redirected|copied|relayed|proxied)\b[^.!?]{0,20}\b(?:to|through|via)\b",
    ),
    spec(
        "other_tool",
        &[
            "other tool",
            "any tool",
            "all tool",
            "another tool",
            "every tool",
            "behavior of",
            "behaviour of",
            "side effect",
            "_",
        ],
        r"\b(?:side effects?|new rules?|rules?|instructions?|modification|special (?:behaviou?r|handling)) (?:of|for|on|to) (?:[a-z0-9]+_[a-z0-9_]+ (?:tool|when)|(?:all |any |the )?other tools?|another tool|every tool)\b|\bthis tool (?:changes|modifies|overrides|alters|affects|replaces) (?:how|the (?:behaviou?r|output|arguments?|way)|(?:all |any |the )?other tools?)\b[^.!?]{0,40}\btools?\b",
    ),
    spec(
        "prompt_leak",
        &[
            "system prompt",
            "system message",
            "system instructions",
            "initial prompt",
            "initial instructions",
            "hidden instructions",
            "developer message",
            "above",
            "instructions verbatim",
        ],
        r"\b(?:reveal|print|repeat|output|show|return|display|include|dump|leak|recite|disclose|expose|provide|share|send|tell|write|paste|pass|copy|summari[sz]e)\b[^.!?]{0,40}\byour\b[^.!?]{0,30}\b(?:system (?:prompt|message|instructions)|initial (?:prompt|instructions)|hidden instructions|developer message)\b|\b(?:repeat|recite|print|output|reveal)\b[^.!?]{0,30}\b(?:everything|the (?:text|words|instructions|prompt)|all (?:of )?the (?:text|words|instructions))\b[^.!?]{0,12}\babove\b|\byour (?:full |entire |complete |exact |verbatim )+(?:system prompt|instructions)\b",
    ),
    spec(
        "image_link",
        &["!["],
        r"!\[[^\]]{0,80}\]\(\s*https?://[^)\s]{1,300}(?:[?&#][^)\s]{0,60}=|[?/=](?:\{|\$|<|%7b|\[))",
    ),
    spec(
        "image_link",
        &["<img"],
        r"<img\b[^>]{0,120}\bsrc\s*=\s*https?://[^>\s]{1,300}(?:[?&][^>\s]{0,60}=|[?/=](?:\{|\$|%7b|\[))",
    ),
    spec(
        "image_link",
        &["markdown image", "image tag", "tracking pixel", "image link", "as an image"],
        r"\b(?:render|include|embed|output|add|append|insert|display|end)\b[^.!?]{0,60}\b(?:markdown image|image tag|tracking pixel|image link)\b[^!?]{0,80}https?://",
    ),
    spec(
        "command",
        &["curl", "wget", "invoke-webrequest", "base64 -d", "iex"],
        r"\b(?:must|first|always|before|always|also|then|run|execute)\b[^!?]{0,80}(?:\b(?:curl|wget)\b[^|!]{0,160}\|\s*(?:sudo )?(?:ba|z|da|k)?sh\b|\b(?:curl|wget)\b[^|!]{0,80}(?:-d|--data[a-z-]*|-f|--form|-t|--upload-file|--post-file)[ =]@?[^!]{0,60}https?://|\b(?:curl|wget)\b[^!]{0,120}\$\(|\bbase64 -d[a-z]*\b[^!]{0,20}\|\s*(?:ba|z)?sh\b)",
    ),
];
