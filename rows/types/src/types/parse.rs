//! The grammar of type names: `Name`, `Name(argument, …)`, where an argument is a type, a name and a type, a number, a
//! quoted text, or `'name' = number`.

/// The longest type name that is read, in bytes. ClickHouse has no limit, but a custom resource has one.
pub(super) const MAX_LEN: usize = 64 * 1024;
/// The deepest nesting of types that is read. ClickHouse refuses types from some hundreds of levels on.
const MAX_DEPTH: u8 = 100;

/// Reads a name with its arguments.
pub(super) fn node(name: &str) -> Result<Node<'_>, String> {
    Tokens { rest: name }.complete()
}

pub(super) fn clip(name: &str) -> String {
    name.chars().take(200).collect()
}

/// A name with its arguments. What they mean is not checked yet.
#[derive(Debug)]
pub(super) struct Node<'a> {
    pub name: &'a str,
    pub args: Vec<Arg<'a>>,
    pub has_parens: bool,
}

#[derive(Debug)]
pub(super) enum Arg<'a> {
    Type(Node<'a>),
    /// An element of a tuple.
    Named(String, Node<'a>),
    Number(i64),
    Text(String),
    Pair(String, i64),
}

struct Tokens<'a> {
    rest: &'a str,
}

impl<'a> Tokens<'a> {
    fn complete(mut self) -> Result<Node<'a>, String> {
        let node = self.node(0)?;
        self.blanks();
        if self.rest.is_empty() { Ok(node) } else { Err(format!("'{}' is left over", clip(self.rest))) }
    }

    fn blanks(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn eat(&mut self, c: char) -> bool {
        self.blanks();
        match self.rest.strip_prefix(c) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn node(&mut self, depth: u8) -> Result<Node<'a>, String> {
        if depth > MAX_DEPTH {
            return Err("types are nested too deep".to_owned());
        }
        self.blanks();
        let end = self.rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(end);
        if name.is_empty() {
            return Err("a type name is missing".to_owned());
        }
        self.rest = rest;
        let mut node = Node { name, args: Vec::new(), has_parens: false };
        if self.eat('(') {
            node.has_parens = true;
            if self.eat(')') {
                return Ok(node);
            }
            loop {
                node.args.push(self.arg(depth)?);
                if self.eat(')') {
                    break;
                }
                if !self.eat(',') {
                    return Err("expected ',' or ')'".to_owned());
                }
            }
        }
        Ok(node)
    }

    fn arg(&mut self, depth: u8) -> Result<Arg<'a>, String> {
        self.blanks();
        match self.rest.chars().next() {
            Some('\'') => {
                let text = self.text('\'')?;
                if self.eat('=') { Ok(Arg::Pair(text, self.number()?)) } else { Ok(Arg::Text(text)) }
            }
            Some('-' | '0'..='9') => self.number().map(Arg::Number),
            Some(quote @ ('`' | '"')) => {
                let name = self.text(quote)?;
                self.node(depth + 1).map(|node| Arg::Named(name, node))
            }
            _ => {
                let node = self.node(depth + 1)?;
                self.blanks();
                let another = self.rest.starts_with(|c: char| c == '_' || c.is_ascii_alphabetic());
                if !another || node.has_parens {
                    return Ok(Arg::Type(node));
                }
                let name = node.name.to_owned();
                self.node(depth + 1).map(|node| Arg::Named(name, node))
            }
        }
    }

    fn number(&mut self) -> Result<i64, String> {
        self.blanks();
        let sign = usize::from(self.rest.starts_with('-'));
        let digits = self.rest[sign..].bytes().take_while(u8::is_ascii_digit).count();
        let (text, rest) = self.rest.split_at(sign + digits);
        self.rest = rest;
        text.parse().map_err(|_| "expected a whole number".to_owned())
    }

    /// Reads a quoted text. It can have a doubled quote, and the escapes of ClickHouse's string literals that
    /// [`Type`](super::Type)'s `Display` writes.
    fn text(&mut self, quote: char) -> Result<String, String> {
        let mut out = String::new();
        let mut chars = self.rest.char_indices().skip(1);
        while let Some((at, c)) = chars.next() {
            match c {
                c if c == quote && self.rest[at + 1..].starts_with(quote) => {
                    chars.next();
                    out.push(quote);
                }
                c if c == quote => {
                    self.rest = &self.rest[at + 1..];
                    return Ok(out);
                }
                '\\' => match chars.next() {
                    Some((_, c @ ('\\' | '\'' | '`' | '"'))) => out.push(c),
                    Some((_, 'n')) => out.push('\n'),
                    Some((_, 't')) => out.push('\t'),
                    Some((_, 'r')) => out.push('\r'),
                    _ => return Err("a text may escape only \\\\ \\' \\n \\t \\r".to_owned()),
                },
                c => out.push(c),
            }
        }
        Err("a quoted text is not closed".to_owned())
    }
}

/// Whether a name needs no quotes.
pub(super) fn is_identifier(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|c| c == '_' || c.is_ascii_alphabetic())
        && chars.all(|c| c == '_' || c.is_ascii_alphanumeric())
}
