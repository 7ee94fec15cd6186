//! Declarations, as far as the checks must read them.

use std::fmt::Write;

/// Generic parameters, and the conditions on them.
#[derive(Clone, Debug, Default)]
pub struct Generics {
    /// Name and bounds.
    pub parameters: Vec<(String, String)>,
    pub conditions: Vec<String>,
}

impl Generics {
    /// Reads `<…>` if the text begins with it; returns the rest, too.
    pub fn parse(text: &str) -> (Self, &str) {
        if !text.starts_with('<') {
            return (Self::default(), text);
        }
        let end = closing(text);
        let parameter = |parameter: String| {
            let (parameter, _default) = parameter.split_once(" = ").unwrap_or((&parameter, ""));
            let (name, bounds) = parameter.split_once(": ").unwrap_or((parameter, ""));
            (name.to_owned(), bounds.to_owned())
        };
        let parameters = split(&text[1..end], ',').into_iter().map(parameter);
        let generics = Self {
            parameters: parameters.collect(),
            conditions: Vec::new(),
        };
        (generics, &text[end + 1..])
    }

    /// These and those, lifetimes first.
    pub fn and(&self, other: &Self) -> Self {
        let mut parameters = [&self.parameters[..], &other.parameters].concat();
        parameters.sort_by_key(|(name, _)| !name.starts_with('\''));
        Self {
            parameters,
            conditions: [&self.conditions[..], &other.conditions].concat(),
        }
    }

    /// Without the parameter for an allocator, which stable programs cannot name.
    pub fn without_allocator(mut self) -> Self {
        self.parameters.retain(|(name, _)| name != "A");
        self.conditions
            .retain(|condition| !condition.starts_with("A: "));
        self
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        let names = self.parameters.iter();
        names.map(|(name, _)| name.strip_prefix("const ").unwrap_or(name))
    }

    pub fn types(&self) -> impl Iterator<Item = &str> {
        let names = self.names();
        names.filter(|name| !name.starts_with('\''))
    }

    /// `<'a, T: Bound>`, or nothing.
    pub fn declared(&self) -> String {
        let one = |(name, bounds): &(String, String)| match &**bounds {
            "" => name.clone(),
            bounds => format!("{name}: {bounds}"),
        };
        bracketed(self.parameters.iter().map(one).collect())
    }

    /// `<'a, T>`, or nothing.
    pub fn used(&self) -> String {
        bracketed(self.names().map(str::to_owned).collect())
    }

    /// `::<T>`, or nothing: lifetimes are inferred.
    pub fn turbofish(&self) -> String {
        let types: Vec<String> = self.types().map(str::to_owned).collect();
        let colons = if types.is_empty() { "" } else { "::" };
        format!("{colons}{}", bracketed(types))
    }

    /// `where …`, or nothing.
    pub fn conditions(&self) -> String {
        if self.conditions.is_empty() {
            return String::new();
        }
        format!("where {}", self.conditions.join(", "))
    }
}

/// A declared function.
#[derive(Debug)]
pub struct Function {
    pub generics: Generics,
    is_unsafe: bool,
    /// The types of the arguments, the receiver's first.
    arguments: Vec<String>,
    result: String,
    /// Whether the first argument is `&self`, which lends its lifetime to the result.
    borrows_self: bool,
}

impl Function {
    /// Reads `pub const fn name<T>(&self, argument: T) -> Result where T: Bound`, if it is a function.
    pub fn parse(declaration: &str, this: &str) -> Option<Self> {
        let (qualifiers, rest) = declaration.split_once("fn ")?;
        let (generics, rest) = Generics::parse(&rest[rest.find(['<', '('])?..]);
        let end = closing(rest);
        let (result, conditions) = split_where(&rest[end + 1..]);
        let mut arguments = split(&rest[1..end], ',');
        let mut borrows_self = false;
        for argument in &mut arguments {
            let with = |reference: &str| format!("{reference}{this}");
            *argument = match &**argument {
                "self" => with(""),
                "&self" | "&mut self" => {
                    borrows_self = true;
                    with(argument.strip_suffix("self")?).replacen('&', "&'this ", 1)
                }
                receiver if receiver.starts_with("&'") && receiver.ends_with(" self") => {
                    with(receiver.strip_suffix("self")?)
                }
                other => other.split_once(": ")?.1.to_owned(),
            };
        }
        let mut result = result.trim().strip_prefix("-> ").unwrap_or("()").to_owned();
        if borrows_self {
            result = result
                .replace('&', "&'this ")
                .replace("&'this '", "&'")
                .replace("'_", "'this");
        }
        let own = |text: &String| replace_word(text, "Self", this);
        Some(Self {
            generics: Generics {
                conditions: conditions.iter().map(own).collect(),
                ..generics
            },
            is_unsafe: qualifiers.contains("unsafe"),
            arguments: arguments.iter().map(own).collect(),
            result: own(&result),
            borrows_self,
        })
    }

    /// The check of the function at `path`.
    pub fn checks(&self, name: &str, generics: &Generics, path: &str, is_const: bool) -> String {
        let this = if self.borrows_self { "'this" } else { "" };
        let lent = Generics {
            parameters: this
                .lines()
                .map(|this| (this.into(), String::new()))
                .collect(),
            conditions: Vec::new(),
        };
        let outer = lent.and(generics);
        let (declared, conditions) = (outer.declared(), outer.conditions());
        let types = self.arguments.join(", ");
        let unsafety = if self.is_unsafe { "unsafe " } else { "" };
        let numbered = self.arguments.iter().enumerate();
        let arguments: Vec<String> = numbered.map(|(n, of)| format!("_{n}: {of}")).collect();
        let arguments = arguments.join(", ");
        let result = &self.result;
        // The arguments are there for what they imply, such as that one lifetime outlives another.
        let mut code = format!(
            "fn {name}{declared}({arguments}) {conditions} {{ \
             let _item: {unsafety}fn({types}) -> {result} = {path}; }}"
        );
        if is_const && !self.is_unsafe {
            let names: Vec<String> = (0..self.arguments.len()).map(|n| format!("_{n}")).collect();
            let names = names.join(", ");
            write!(
                code,
                "\nconst fn {name}_const{declared}({arguments}) -> {result} {conditions} {{ {path}({names}) }}"
            )
            .unwrap();
        }
        code
    }
}

/// Reads `impl<…> rest`: the parameters, one for each `'_` among them, and the rest.
pub fn head(text: &str) -> (Generics, String) {
    let (mut generics, rest) = Generics::parse(text.strip_prefix("impl").unwrap_or(text));
    let mut parts = rest.trim().split("'_");
    let mut rest = parts.next().unwrap_or("").to_owned();
    for (number, part) in parts.enumerate() {
        let name = format!("'any{number}");
        rest += &name;
        rest += part;
        generics.parameters.insert(0, (name, String::new()));
    }
    (generics, rest)
}

/// Splits off the conditions of `… where A: B, C: D,`.
pub fn split_where(text: &str) -> (String, Vec<String>) {
    match top_level(text, "where ") {
        Some(at) => (
            text[..at].trim().to_owned(),
            split(&text[at + "where ".len()..], ','),
        ),
        None => (text.trim().to_owned(), Vec::new()),
    }
}

/// The parts between the separators that are outside of any brackets.
pub fn split(text: &str, separator: char) -> Vec<String> {
    let mut parts = vec![String::new()];
    for (letter, depth) in depths(text) {
        match parts.last_mut() {
            Some(part) if letter != separator || depth > 0 => part.push(letter),
            _ => parts.push(String::new()),
        }
    }
    let parts = parts.iter().map(|part| part.trim().to_owned());
    parts.filter(|part| !part.is_empty()).collect()
}

/// Where `wanted` is, outside of any brackets.
pub fn top_level(text: &str, wanted: &str) -> Option<usize> {
    let mut at = 0;
    for (letter, depth) in depths(text) {
        if depth == 0 && text[at..].starts_with(wanted) {
            return Some(at);
        }
        at += letter.len_utf8();
    }
    None
}

/// Where the bracket closes that the text begins with.
fn closing(text: &str) -> usize {
    let mut at = 0;
    for (letter, depth) in depths(text) {
        at += letter.len_utf8();
        if depth == 0 {
            return at - letter.len_utf8();
        }
    }
    panic!("no end of the bracket: {text}");
}

/// Each letter, and how many brackets are open behind it.
fn depths(text: &str) -> impl Iterator<Item = (char, usize)> {
    let mut depth = 0;
    let mut before = ' ';
    text.chars().map(move |letter| {
        match letter {
            '<' | '(' | '[' => depth += 1,
            '>' if before == '-' => {}
            '>' | ')' | ']' => depth -= 1,
            _ => {}
        }
        before = letter;
        (letter, depth)
    })
}

fn bracketed(parts: Vec<String>) -> String {
    if parts.is_empty() {
        return String::new();
    }
    format!("<{}>", parts.join(", "))
}

/// Replaces a name, but not where it is a part of another.
pub fn replace_word(text: &str, word: &str, by: &str) -> String {
    let parts: Vec<&str> = text.split(word).collect();
    let mut replaced = parts[0].to_owned();
    for (part, next) in parts.iter().zip(&parts[1..]) {
        let part_of_another = next
            .starts_with(|letter: char| letter.is_alphanumeric() || letter == '_')
            || part.ends_with(|letter: char| letter.is_alphanumeric() || letter == '_');
        replaced.push_str(if part_of_another { word } else { by });
        replaced.push_str(next);
    }
    replaced
}
