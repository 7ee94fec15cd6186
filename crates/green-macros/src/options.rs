//! What stands in the parentheses of an attribute.

use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Error, Expr, Ident, Path, Result, Token, ext::IdentExt};

/// The knobs of `green::Config` that an attribute can set: methods that take a `usize`.
const KNOBS: [&str; 3] = ["hubs", "stack_size", "blocking_threads"];

/// The options of an attribute.
#[derive(Default)]
pub(crate) struct Options {
    /// The path of the crate `green`, if it is not `::green`.
    pub(crate) green: Option<Path>,
    /// The knobs and their values, in the order in which they stand.
    pub(crate) knobs: Vec<(Ident, Expr)>,
}

impl Parse for Options {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let mut options = Self::default();
        for option in Punctuated::<Setting, Token![,]>::parse_terminated(input)? {
            let is_new = match option {
                Setting::Crate(path) => options.green.replace(path).is_none(),
                Setting::Knob(name, value) => {
                    let is_new = options.knobs.iter().all(|(other, _)| *other != name);
                    options.knobs.push((name, value));
                    is_new
                }
            };
            if !is_new {
                return Err(input.error("an option stands here twice"));
            }
        }
        Ok(options)
    }
}

/// One option: `name = value`.
enum Setting {
    Crate(Path),
    Knob(Ident, Expr),
}

impl Parse for Setting {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let name = input.call(Ident::parse_any)?;
        let is_crate = name == "crate";
        if !is_crate && !KNOBS.iter().any(|knob| name == knob) {
            let knobs = KNOBS.join("`, `");
            let message = format!("unknown option: there are `{knobs}` and `crate`");
            return Err(Error::new(name.span(), message));
        }
        input.parse::<Token![=]>()?;
        Ok(if is_crate {
            Self::Crate(input.call(Path::parse_mod_style)?)
        } else {
            Self::Knob(name, input.parse()?)
        })
    }
}
