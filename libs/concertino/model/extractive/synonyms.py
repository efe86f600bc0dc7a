"""What people call things, and what code and documentation call them.

General programming and documentation English only. In a line of the table the first word is what a question says, the others
what may stand in its place. Phrases of two or more words, as people ask them, point at the words that texts use instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from concertino.retrieval.tokens import stem, terms

FORWARD = 0.8
BACKWARD = 0.5
"""What a related word is worth beside the word itself: as listed, and the other way round."""

_GROUPS = """
stop cancel abort kill terminate halt interrupt shutdown quit exit
end finish complete done terminate final
start begin launch run boot spawn init initialize
restart reload respawn
run execute invoke call perform
speed performance fast slow latency throughput optimize optimization benchmark profile profiler
measure profile profiler benchmark timing metric statistics
settings setting config configuration configure options option preference parameter
delete remove erase drop discard purge clear unlink strip
strip remove trim drop
limit max maximum cap bound restrict threshold quota size
minimum min least
rate throttle throttling ratelimit
wait timeout delay sleep pause block backoff interval
pause sleep delay wait suspend backoff
time timeout deadline duration seconds
deadline timeout expire limit
expire expiration expiry ttl maxage lifetime
retry retries attempt tries try again repeat redo
attempt try tries retry
try attempt retry
check compare match
between interval
error exception failure fail raise fault
fail failure error exception crash broken
crash fail die abort panic
warn warning deprecate deprecation
break broken invalid corrupt incomplete damaged
incomplete partial truncated
halfway partial incomplete early premature prematurely
give provide supply pass
create make new build construct instantiate generate
change modify update edit alter mutate set
immutable frozen readonly unchangeable constant
save store write persist keep dump cache
persist store save durable remember
remember store cache persist keep
keep store retain preserve hold
load read open import fetch
read parse load decode
get fetch retrieve obtain lookup receive
find search lookup discover locate detect resolve match
guess detect infer suggest suggestion closest similar
detect check notice recognize
choose select pick decide determine prefer preference best
decide determine choose detect
send transmit post submit publish deliver dispatch write
receive recv accept get consume
show display print render output
display show print render echo
hide hidden mask conceal suppress
hidden invisible hide secret
check validate verify test assert ensure validation verification validator
verify check validate
test testing mock fake simulate
compare equal equality eq cmp match
convert transform cast coerce parse converter
encode encoding serialize charset
decode decoding deserialize charset
charset encoding codec unicode
compress compression gzip deflate zip zlib brotli
decompress unpack compressed gzip deflate inflate decode
pack compress
serialize serialization pickle json marshal dump encode
encrypt encryption cipher tls ssl crypto
decrypt decryption cipher
hash digest checksum fingerprint
sign signed signature signing hmac
password passwd secret credential passphrase
credential password auth login token secret username
login auth authenticate authentication signin session
auth authentication authenticate authorization authorize
authorization auth authorize permission
permission access allow privilege right authorize
secret key token password credential sensitive
secure security safe safely
safe secure safely security sandbox
dangerous unsafe insecure destructive
protect prevent guard secure defend security
prevent avoid forbid disallow stop protect
forbid deny reject refuse disallow block
allow permit enable accept
untrusted sandbox unsafe malicious
attack vulnerability exploit malicious csrf xss
trust trusted ca certificate verify
certificate cert ca ssl tls pem
server host backend service
client caller consumer peer browser
browser client useragent
host hostname domain server
address url host ip addr location
url uri address link href path
link url href anchor
connection connect socket conn
disconnect close drop disconnected
close disconnect shutdown eof
open connect
request req query
response reply answer resp
answer reply response
header headers
cookie cookies
redirect redirection location
proxy forward forwarded
loadbalancer proxy forwarded
port socket
network socket connection net
download fetch get
upload file multipart send
form multipart formdata
body content payload data
message msg
mail email smtp
json serialize
stream streaming chunk chunked iterate generator
chunk stream piece part block
piece chunk part
file filename path
folder directory dir path
directory folder dir path
path route url
route routing url rule endpoint
pattern rule regex match
regex regular expression pattern
environment env envvar environ
variable var
command cmd cli subcommand
terminal tty console screen shell
console terminal shell
shell terminal bash
screen terminal display console
color colour ansi style
width columns size
size length limit width
argument arg parameter param
parameter param argument option
option flag switch parameter
flag option switch boolean
default fallback
fallback default alternative
missing absent undefined notfound
undefined missing nonexistent
exist exists present
empty blank none null
user person
multiple several many repeat
several multiple many
single one once
list array sequence collection
dictionary dict map mapping
map mapping dict
key keys
order sort sorted ordering priority
priority precedence order weight
sort order sorted
copy clone duplicate
duplicate copy dedupe unique
unique distinct duplicate
count number amount total
number count int integer
random randomness jitter shuffle
grow increase exponential increment
increase grow increment
reduce decrease shrink minimize
smaller shrink reduce minimize compact
bigger grow increase enlarge
larger grow increase enlarge
shrink reduce minimize
slower throttle delay backoff
faster speed performance optimize
text string str
string str text
integer int number
boolean bool
character char letter
case upper lower insensitive
insensitive case regardless ignore
regardless insensitive ignore
truncate cut shorten ellipsis
cut truncate shorten
language locale lang translation
translate translation i18n gettext locale localization
international unicode idna i18n
date datetime time timestamp
timezone tz zone
clock time
schedule scheduler cron periodic timer
periodic schedule cron interval recurring
job task work
task job work
background async asynchronous worker queue
worker process thread
queue broker buffer
event signal notification
notify notification signal event
signal event handler sigint
callback hook handler listener
hook callback event handler
handler callback handle
plugin extension addon
extension plugin extend
extend extension subclass inherit custom customize
custom customize own
middleware wrapper
wrap wrapper decorator decorate
decorator wrap
parallel concurrent concurrency simultaneous multithread
concurrent parallel simultaneous concurrency
simultaneous concurrent parallel
coroutine async await asyncio
asynchronous async await
thread threading threads
process subprocess child
child subprocess worker
program process subprocess application
lock mutex semaphore synchronize
share shared common
isolate separate local context
apart isolate separate local
memory ram leak
leak memory resource
resource memory
cache caching memoize cached
database db sql storage
transaction commit rollback
table column
log logging logger
logging log logger
trace traceback stacktrace stack
traceback trace stack
debug debugger debugging
bug issue defect
document documentation docs
example sample demo
install installation setup
setup install configure initialize
deploy deployment production
upgrade migrate migration update
version release
dependency requirement package
package module library
module import package
template templates
escape autoescape quote
html markup
markup html
page template view
component part module
cleanup teardown close dispose release finally
release free close cleanup
clean cleanup clear
free release dealloc
reuse pool recycle keepalive
pool reuse connections
idle unused stale keepalive
lazy lazily ondemand deferred
defer deferred lazy later
compile compiler compiled compilation
constant const literal static
literal constant
interpret evaluate eval
evaluate eval compute
compute calculate evaluate
calculate compute estimate
estimate eta calculate predict
progress progressbar status
status state progress
state status
ask prompt input confirm question
confirm confirmation prompt ask
prompt ask input
input stdin prompt
output stdout print
typo mistype misspell suggestion similar
mistype typo suggestion similar
complete completion autocomplete
completion complete autocomplete
tab completion
editor edit
home user expanduser
local localhost loopback
nested nesting recursive
recursive recursion nested
group batch bundle
batch group bulk
split separate divide
join combine merge concatenate
merge combine join
combine merge join chain
chain pipeline sequence
filter select exclude
exclude ignore skip filter
ignore skip exclude suppress
skip ignore omit
replace substitute override
override replace overwrite custom
overwrite override replace
inherit inheritance subclass base
class type object
object instance
instance object
attribute field property attr
field attribute property
property attribute field
method function
function method callable
automatic automatically auto
manual manually explicit
dynamic runtime
static constant
internal private
public api interface
interface api protocol
support supported compatible
compatible compatibility support
platform os windows linux
windows win32 platform
reject refuse deny error
full exceed overflow exhausted
exceed over limit overflow
exhaust full exceed
balance distribute
monitor watch observe metric health
watch monitor observe reload
health alive heartbeat ping
alive heartbeat health keepalive
replica copy
recover recovery restore resume
resume continue recover
restore recover undo
rollback undo revert
undo revert rollback
purpose motivation why rationale
reason why rationale because
difference differ versus comparison compare
differ difference comparison
alternative comparison versus other
step stage phase
interactive prompt repl
drop lost close disconnect
lose lost drop
range partial slice
partial range incomplete
slice range
slow performance profiler latency
scale scaling autoscale
interrupt keyboardinterrupt sigint ctrl
mail email
"""

_PHRASES: Mapping[str, str] = {
    "try again": "retry attempt",
    "tried again": "retry attempt",
    "trying again": "retry attempt",
    "come back": "retry after",
    "give up": "stop abort max exhausted retry",
    "gives up": "stop abort max exhausted retry",
    "gave up": "stop abort max exhausted retry",
    "log in": "login auth",
    "sign in": "login auth",
    "log out": "logout",
    "shut down": "shutdown stop close",
    "shuts down": "shutdown stop close",
    "clean up": "cleanup close",
    "set up": "setup configure",
    "time limit": "timeout deadline",
    "time limits": "timeout deadline",
    "too long": "timeout limit",
    "how long": "timeout duration seconds interval delay time",
    "how many": "max limit count number",
    "how much": "max limit size amount",
    "how often": "interval rate frequency",
    "how big": "size limit max",
    "how large": "size limit max",
    "how wide": "width columns size",
    "how fast": "rate performance speed",
    "at the same time": "concurrent parallel simultaneous multiple",
    "at once": "concurrent parallel simultaneous",
    "in parallel": "concurrent",
    "command line": "cli commandline argv",
    "piece by piece": "stream chunk generator iterate",
    "bit by bit": "stream chunk incremental",
    "not found": "404 missing notfound",
    "does not exist": "undefined missing notfound",
    "do not exist": "undefined missing notfound",
    "upper case": "uppercase case insensitive",
    "lower case": "lowercase case insensitive",
    "upper or lower case": "case insensitive",
    "only when needed": "lazy",
    "on demand": "lazy",
    "from outside": "remote external",
    "man in the middle": "tls certificate",
    "look up": "lookup",
    "looked up": "lookup",
    "put together": "combine join",
    "left out": "exclude skip omit",
    "thrown away": "discard drop",
    "throw away": "discard drop",
    "get rid": "remove delete",
    "turned off": "disable",
    "turn off": "disable",
    "switch off": "disable",
    "switched off": "disable",
    "turn on": "enable",
    "turned on": "enable",
    "switch on": "enable",
    "ctrl c": "keyboardinterrupt sigint interrupt abort",
    "control c": "keyboardinterrupt sigint interrupt abort",
    "interrupt key": "keyboardinterrupt sigint",
    "key press": "getchar input",
    "out of memory": "memory limit",
    "run out": "exhausted limit",
    "runs out": "exhausted limit",
    "cross site": "xss csrf",
    "home directory": "home expanduser",
    "home folder": "home expanduser",
    "user name": "username",
    "load balancer": "proxy forwarded",
    "reverse proxy": "proxy forwarded",
    "return value": "result return",
    "return values": "result return",
    "line numbers": "lineno",
    "line number": "lineno",
    "standard library": "stdlib",
    "operating system": "platform os",
    "regular expression": "regex pattern",
    "regular expressions": "regex pattern",
    "source file": "file module",
    "error message": "error message",
    "stack trace": "traceback",
    "unit test": "test",
    "exit code": "exit status",
    "character set": "charset encoding",
    "host names": "hostname",
    "up to date": "fresh current",
    "out of date": "stale expired",
}


@cache
def _table() -> Mapping[str, Mapping[str, float]]:
    table: dict[str, dict[str, float]] = {}
    for line in _GROUPS.strip().splitlines():
        head, *others = dict.fromkeys(stem(word) for word in line.split())
        for other in others:
            if other != head:
                table.setdefault(head, {})[other] = FORWARD
                table.setdefault(other, {}).setdefault(head, BACKWARD)
    return table


@cache
def phrases() -> Mapping[tuple[str, ...], tuple[str, ...]]:
    """Phrases by their words in lower case, and the terms that texts use instead."""
    return {tuple(phrase.split()): tuple(terms(words)) for phrase, words in _PHRASES.items()}


def related(term: str) -> Mapping[str, float]:
    """Terms that may stand where a question says ``term`` (all stemmed), and how much of it each is worth."""
    return _table().get(term, {})
