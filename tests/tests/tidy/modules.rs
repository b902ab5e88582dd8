//! The modules of a crate, read from its sources: what each declares, imports and names. Test code is left out.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use cargo_metadata::MetadataCommand;
use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, Ident, ImplItem, Item, LitStr, Meta, UseTree, Visibility};

/// A module's path from the root of its crate; the root's own is empty.
pub(crate) type ModulePath = Vec<String>;

/// A path as the source spells it, with its `crate`, `self` and `super`.
type Spelled = Vec<String>;

/// How many imports a name may pass through before it counts as unknown.
const MAX_INDIRECTIONS: usize = 16;

/// All modules of a crate.
#[derive(Debug)]
pub(crate) struct Crate {
    /// The folder that holds the sources, such as `domain/src`.
    pub(crate) folder: PathBuf,
    modules: BTreeMap<ModulePath, Module>,
}

/// What one module says.
#[derive(Debug, Default)]
struct Module {
    children: BTreeSet<String>,
    items: BTreeSet<String>,
    imports: BTreeMap<String, Spelled>,
    globs: Vec<Spelled>,
    paths: BTreeSet<Spelled>,
    types: Vec<TypeName>,
}

/// The name of a struct, enum, union, trait or type alias.
#[derive(Debug)]
pub(crate) struct TypeName {
    pub(crate) name: String,
    /// Whether other modules may see it.
    pub(crate) visible: bool,
}

impl Crate {
    /// Reads the crate whose root is the file `root`. `read` gives the text of a file, or `None` if there is no such
    /// file.
    pub(crate) fn load(root: &Path, read: &dyn Fn(&Path) -> Option<String>) -> Self {
        let folder = root.parent().unwrap().to_owned();
        let mut modules = BTreeMap::new();
        let mut unread = vec![ModulePath::new()];
        while let Some(path) = unread.pop() {
            let stem = folder.join(path.iter().collect::<PathBuf>());
            let files = if path.is_empty() {
                [root.to_owned(), root.to_owned()]
            } else {
                [stem.with_extension("rs"), stem.join("mod.rs")]
            };
            let text =
                files.iter().find_map(|file| read(file)).unwrap_or_else(|| panic!("no file for {}", stem.display()));
            let parsed = syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", stem.display()));
            collect(path, &parsed.items, &mut modules, &mut unread);
        }
        Self { folder, modules }
    }

    /// The library and the programs of every crate of the workspace at `workspace`, except the programs of a `bin`
    /// folder.
    pub(crate) fn all(workspace: &Path) -> Vec<Self> {
        let metadata = MetadataCommand::new().manifest_path(workspace.join("Cargo.toml")).no_deps().exec().unwrap();
        let targets = metadata.packages.iter().flat_map(|package| &package.targets);
        targets
            .map(|target| target.src_path.strip_prefix(workspace).unwrap().as_std_path().to_owned())
            .filter(|root| root.parent().is_some_and(|folder| folder.ends_with("src")))
            .map(|root| Self::load(&root, &|file| std::fs::read_to_string(workspace.join(file)).ok()))
            .collect()
    }

    /// Each pair of a module and another one of this crate that it names.
    pub(crate) fn references(&self) -> BTreeSet<(&ModulePath, ModulePath)> {
        let mut found = BTreeSet::new();
        for (path, module) in &self.modules {
            let targets = module.paths.iter().filter_map(|spelled| self.resolve(path, spelled, MAX_INDIRECTIONS));
            found.extend(targets.filter(|target| target != path).map(|target| (path, target)));
        }
        found
    }

    /// Each type, with the module that declares it.
    pub(crate) fn types(&self) -> impl Iterator<Item = (&TypeName, &ModulePath)> {
        self.modules.iter().flat_map(|(path, module)| module.types.iter().map(move |name| (name, path)))
    }

    /// The module that declares what `spelled` means in the module `from`, whatever façades re-export it. A path that
    /// means a module gives that module; one that means nothing of this crate gives `None`.
    fn resolve(&self, from: &ModulePath, spelled: &[String], indirections: usize) -> Option<ModulePath> {
        let (first, rest) = spelled.split_first()?;
        match first.as_str() {
            "crate" => Some(self.descend(ModulePath::new(), rest, indirections)),
            "self" => Some(self.descend(from.clone(), rest, indirections)),
            "super" => {
                let mut parent = from.clone();
                parent.pop()?;
                match rest.first().map(String::as_str) {
                    Some("super") => self.resolve(&parent, rest, indirections),
                    _ => Some(self.descend(parent, rest, indirections)),
                }
            }
            _ => self.lookup(from, spelled, indirections),
        }
    }

    fn descend(&self, module: ModulePath, rest: &[String], indirections: usize) -> ModulePath {
        // A name that no declaration explains, as one made by a macro, is the module's own.
        if rest.is_empty() { module } else { self.lookup(&module, rest, indirections).unwrap_or(module) }
    }

    /// What a path means whose first name stands in `module` itself.
    fn lookup(&self, module: &ModulePath, spelled: &[String], indirections: usize) -> Option<ModulePath> {
        let (first, rest) = spelled.split_first()?;
        let declared = self.modules.get(module)?;
        let indirections = indirections.checked_sub(1)?;
        if declared.children.contains(first) {
            let child = module.iter().chain([first]).cloned().collect();
            return Some(self.descend(child, rest, indirections));
        }
        if declared.items.contains(first) {
            return Some(module.clone());
        }
        if let Some(import) = declared.imports.get(first) {
            let whole: Spelled = import.iter().chain(rest).cloned().collect();
            // An import of an item of the same name as an external crate would find itself.
            return if whole == spelled { None } else { self.resolve(module, &whole, indirections) };
        }
        declared.globs.iter().find_map(|glob| {
            let target = self.resolve(module, glob, indirections)?;
            (target != *module).then(|| self.lookup(&target, spelled, indirections)).flatten()
        })
    }
}

/// Adds the module `path` and the modules inside its text to `modules`; those with files of their own go to `unread`.
fn collect(path: ModulePath, items: &[Item], modules: &mut BTreeMap<ModulePath, Module>, unread: &mut Vec<ModulePath>) {
    let mut collector = Collector { module: Module::default(), inline: Vec::new(), files: Vec::new() };
    for item in items {
        collector.visit_item(item);
    }
    let Collector { module, inline, files } = collector;
    let child = |name: String| path.iter().cloned().chain([name]).collect::<ModulePath>();
    unread.extend(files.into_iter().map(child));
    for (name, items) in inline {
        collect(child(name), items, modules, unread);
    }
    modules.insert(path, module);
}

struct Collector<'ast> {
    module: Module,
    inline: Vec<(String, &'ast [Item])>,
    files: Vec<String>,
}

impl Collector<'_> {
    fn declare(&mut self, ident: &Ident) {
        self.module.items.insert(ident.to_string());
    }

    fn declare_type(&mut self, ident: &Ident, visibility: &Visibility) {
        self.declare(ident);
        let visible = !matches!(visibility, Visibility::Inherited);
        self.module.types.push(TypeName { name: ident.to_string(), visible });
    }

    fn import(&mut self, prefix: &[String], tree: &UseTree) {
        let with = |ident: &Ident| prefix.iter().cloned().chain([ident.to_string()]).collect::<Spelled>();
        match tree {
            UseTree::Path(path) => self.import(&with(&path.ident), &path.tree),
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.import(prefix, tree)),
            UseTree::Name(name) if name.ident == "self" => self.import_as(prefix.last().cloned(), prefix.to_vec()),
            UseTree::Name(name) => self.import_as(Some(name.ident.to_string()), with(&name.ident)),
            UseTree::Rename(rename) => self.import_as(Some(rename.rename.to_string()), with(&rename.ident)),
            UseTree::Glob(_) => {
                self.module.paths.insert(prefix.to_vec());
                self.module.globs.push(prefix.to_vec());
            }
        }
    }

    fn import_as(&mut self, name: Option<String>, path: Spelled) {
        self.module.paths.insert(path.clone());
        self.module.imports.extend(name.map(|name| (name, path)));
    }

    /// Finds paths in what is no syntax tree: the arguments of a macro or an attribute.
    fn scan(&mut self, tokens: TokenStream) {
        let mut path = Spelled::new();
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Ident(ident) => {
                    if colons != 2 {
                        self.end(&mut path);
                    }
                    path.push(ident.to_string());
                    colons = 0;
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
                TokenTree::Punct(_) => self.end(&mut path),
                TokenTree::Group(group) => {
                    self.end(&mut path);
                    self.scan(group.stream());
                }
                TokenTree::Literal(literal) => {
                    self.end(&mut path);
                    // serde takes paths as strings, such as `with = "crate::money"`.
                    if let Ok(literal) = syn::parse_str::<LitStr>(&literal.to_string())
                        && let Ok(path) = literal.parse::<syn::Path>()
                    {
                        self.module.paths.insert(spelled(&path));
                    }
                }
            }
        }
        self.end(&mut path);
    }

    fn end(&mut self, path: &mut Spelled) {
        if path.len() > 1 {
            self.module.paths.insert(path.clone());
        }
        path.clear();
    }
}

impl<'ast> Visit<'ast> for Collector<'ast> {
    fn visit_item(&mut self, item: &'ast Item) {
        if attributes(item).iter().any(is_for_tests) {
            return;
        }
        match item {
            Item::Mod(module) => {
                let name = module.ident.to_string();
                self.module.children.insert(name.clone());
                match &module.content {
                    Some((_, items)) => self.inline.push((name, items)),
                    None => self.files.push(name),
                }
                return;
            }
            Item::Use(import) => return self.import(&[], &import.tree),
            Item::Struct(it) => self.declare_type(&it.ident, &it.vis),
            Item::Enum(it) => self.declare_type(&it.ident, &it.vis),
            Item::Union(it) => self.declare_type(&it.ident, &it.vis),
            Item::Trait(it) => self.declare_type(&it.ident, &it.vis),
            Item::Type(it) => self.declare_type(&it.ident, &it.vis),
            Item::Fn(it) => self.declare(&it.sig.ident),
            Item::Const(it) => self.declare(&it.ident),
            Item::Static(it) => self.declare(&it.ident),
            Item::Macro(it) => it.ident.iter().for_each(|ident| self.declare(ident)),
            _ => {}
        }
        visit::visit_item(self, item);
    }

    fn visit_impl_item(&mut self, item: &'ast ImplItem) {
        if !matches!(item, ImplItem::Fn(it) if it.attrs.iter().any(is_for_tests)) {
            visit::visit_impl_item(self, item);
        }
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        if let Meta::List(list) = &attribute.meta {
            self.scan(list.tokens.clone());
        }
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        self.visit_path(&call.path);
        self.scan(call.tokens.clone());
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.module.paths.insert(spelled(path));
        visit::visit_path(self, path);
    }
}

fn spelled(path: &syn::Path) -> Spelled {
    path.segments.iter().map(|segment| segment.ident.to_string()).collect()
}

fn is_for_tests(attribute: &Attribute) -> bool {
    matches!(&attribute.meta, Meta::List(list) if list.path.is_ident("cfg") && list.tokens.to_string() == "test")
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(it) => &it.attrs,
        Item::Enum(it) => &it.attrs,
        Item::Fn(it) => &it.attrs,
        Item::Impl(it) => &it.attrs,
        Item::Macro(it) => &it.attrs,
        Item::Mod(it) => &it.attrs,
        Item::Static(it) => &it.attrs,
        Item::Struct(it) => &it.attrs,
        Item::Trait(it) => &it.attrs,
        Item::Type(it) => &it.attrs,
        Item::Use(it) => &it.attrs,
        _ => &[],
    }
}
