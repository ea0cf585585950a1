// SPDX-License-Identifier: BSD-2-Clause
/*
 * config.c - what the configuration accepts, what it makes of it, and the exact
 * line for everything that it does not accept. In the rows ' stands for ".
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"

#define SEED "'hash_seed': '00112233445566778899aabbccddeeff'"
#define SOURCES "'source_address': '192.0.2.1', 'source_address_v6': '2001:db8::1'"

/* One line: documents, and where the interesting part of each begins. */
#define TOP(rest) "{" SEED rest "}"					/* column 49 */
#define SERVICES(list) "{" SEED "," SOURCES ",\n'services': [\n" list "]}"	/* line 3 */
#define WEB "'name': 'web', 'address': '203.0.113.10', 'port': 80, 'protocol': 'tcp'"
#define SERVICE(rest) SERVICES("{" WEB rest "}")			/* line 3, column 73 */
#define LIMIT(rest) SERVICE(",\n'limits': [{" rest "}]")		/* line 4, column 13 */
#define BACKEND(rest) SERVICE(",\n'backends': [{" rest "}]")		/* line 4, column 15 */

#define SEED_ALLOWED "allowed are 32 hex digits, the same on every balancer " \
		     "(made with `openssl rand -hex 16`)"
#define UNICAST "allowed is a unicast IPv4 or IPv6 address, not loopback"
#define NAMES "allowed are 1 to 63 characters of A-Z a-z 0-9 . _ -"
#define INTERFACES "allowed are 1 to 15 characters without / : and spaces"
#define MAPS "ipip and l2 cannot map ports: leave the backend's out"

#define X16 "xxxxxxxxxxxxxxxx"
#define X64 X16 X16 X16 X16

static void replace(char *text, char from, char to)
{
	for (; (text = strchr(text, from)); text++)
		*text = to;
}

/* located: with the text at hand; else from the document alone, as an edit does it. */
static int load(const char *row, bool located, struct config **config, struct error *error)
{
	char *text = strdup(row);
	json_t *root;
	int err;

	replace(text, '\'', '"');
	*config = NULL;
	err = config_parse_text(text, strlen(text), "t", &root, error);
	if (!err)
		err = config_build(root, located ? text : NULL, "t", config, error);
	json_decref(root);
	free(text);
	return err;
}

/* ---- what is refused ---- */

struct refused {
	const char *name;
	const char *json;
	const char *line;	/* whole, but without the file's name */
};

static const struct refused syntax[] = {
	{ "nothing", "", "1:1: not valid JSON: '[' or '{' expected near end of file" },
	{ "end of file", "{\n'a'", "2:3: not valid JSON: ':' expected near end of file" },
	{ "garbage behind", TOP() " x", "1:51: not valid JSON: end of file expected near 'x'" },
	{ "no colon", "{\r\n\t'a' 1}", "2:6: not valid JSON: ':' expected near '1'" },
	{ "comment", "{\n// a\n}", "2:1: not valid JSON: string or '}' expected near '/'" },
	{ "comma at the end", "{'a': 1,}",
	  "1:9: not valid JSON: string or '}' expected near '}'" },
	{ "duplicate key", "{'a': 1,\n 'a': 2}",
	  "2:4: not valid JSON: duplicate object key near ''a''" },
	{ "invalid UTF-8", "{'a': '\xff'}",
	  "1:7: not valid JSON: unable to decode byte 0xff near '''" },
	{ "escaped NUL", "{'a': 'b\\u0000'}",
	  "1:15: not valid JSON: \\u0000 is not allowed in a string" },
	{ "control character", "{'a': \x01}", "1:7: not valid JSON: invalid token near '?'" },
	{ "line in a string", "{'a': 'b\n'}",
	  "1:8: not valid JSON: unexpected newline near ''b'" },
	{ "number too big", "{'a': 9223372036854775808}",
	  "1:25: not valid JSON: too big integer near '9223372036854775808'" },
	{ "byte order mark", "\xef\xbb\xbf" TOP(),
	  "1:1: begins with a byte order mark, allowed is plain UTF-8" },
	{ "columns are characters", "{'\xc3\xa9\xc3\xa9' 1}",
	  "1:7: not valid JSON: ':' expected near '1'" },
};

static const struct refused top[] = {
	{ "a list", "\n []", "2:2: configuration: is a list, allowed is an object" },
	{ "no seed", "\n\t{}", "2:2: hash_seed: is missing, " SEED_ALLOWED },
	{ "seed a number", "{'hash_seed': 1}", "1:15: hash_seed: is 1, " SEED_ALLOWED },
	{ "seed short", "{'hash_seed': '0011'}", "1:15: hash_seed: is '0011', " SEED_ALLOWED },
	{ "seed long", "{'hash_seed': '00112233445566778899aabbccddeeff0'}",
	  "1:15: hash_seed: is '00112233445566778899aabbccddeeff0', " SEED_ALLOWED },
	{ "seed no hex", "{'hash_seed': '00112233445566778899aabbccddeefg'}",
	  "1:15: hash_seed: is '00112233445566778899aabbccddeefg', " SEED_ALLOWED },
	{ "seed with a sign", "{'hash_seed': '001122334455667788 9aabbccddee+f'}",
	  "1:15: hash_seed: is '001122334455667788 9aabbccddee+f', " SEED_ALLOWED },
	{ "unknown key", TOP(",\n 'colour': 'red'"), "2:2: colour: unknown key" },
	{ "near key", TOP(",\r\n\r\n\t'sevrices' : []"),
	  "3:2: sevrices: unknown key, did you mean 'services'?" },
	{ "begun key", TOP(", 'inter': []"),
	  "1:51: inter: unknown key, did you mean 'interfaces'?" },
	{ "key in capitals", TOP(", 'Services': []"),
	  "1:51: Services: unknown key, did you mean 'services'?" },
	{ "key with an escape", TOP(", 's\\u0065rvicez': []"),
	  "1:51: servicez: unknown key, did you mean 'services'?" },
	{ "key of two lines", TOP(", 'a\\nb': []"), "1:51: 'a\\nb': unknown key" },
	{ "key with DEL", TOP(", 'a\x7f': []"), "1:51: 'a?': unknown key" },
	{ "key of other letters", TOP(", '\xd1\x95\x65rvices': []"),
	  "1:51: '\\u0455ervices': unknown key, did you mean 'services'?" },
	{ "key without letters", TOP(", '': []"), "1:51: '': unknown key" },
	{ "key too long", TOP(", '" X64 "': []"),
	  "1:51: '" X16 X16 "xxxxxxxxxxxxxxx...: unknown key" },
	{ "source v6", TOP(", 'source_address': '2001:db8::1'"),
	  "1:69: source_address: is '2001:db8::1', "
	  "allowed is a unicast IPv4 address, not loopback" },
	{ "source multicast", TOP(", 'source_address': '224.0.0.1'"),
	  "1:69: source_address: is '224.0.0.1', "
	  "allowed is a unicast IPv4 address, not loopback" },
	{ "source_v6 v4", TOP(", 'source_address_v6': '192.0.2.1'"),
	  "1:72: source_address_v6: is '192.0.2.1', "
	  "allowed is a unicast IPv6 address, not loopback" },
	{ "null", TOP(", 'services': null"),
	  "1:63: services: is null, allowed is a list of services" },
	{ "services an object", TOP(", 'services': {}"),
	  "1:63: services: is an object, allowed is a list of services" },
	{ "interfaces a word", TOP(", 'interfaces': 'eth0'"),
	  "1:65: interfaces: is 'eth0', allowed is a list of interfaces" },
};

static const struct refused capacity[] = {
	{ "a number", TOP(", 'capacity': 1"), "1:63: capacity: is 1, allowed is an object" },
	{ "unknown", TOP(", 'capacity': {'slot': 1}"),
	  "1:64: capacity.slot: unknown key, did you mean 'slots'?" },
	{ "services 0", TOP(", 'capacity': {'services': 0}"),
	  "1:76: capacity.services: is 0, allowed are 1 to 65535" },
	{ "services 65536", TOP(", 'capacity': {'services': 65536}"),
	  "1:76: capacity.services: is 65536, allowed are 1 to 65535" },
	{ "backends 1", TOP(", 'capacity': {'backends': 1}"),
	  "1:76: capacity.backends: is 1, allowed are 2 to 65536" },
	{ "backends 65537", TOP(", 'capacity': {'backends': 65537}"),
	  "1:76: capacity.backends: is 65537, allowed are 2 to 65536" },
	{ "slots 4095", TOP(", 'capacity': {'slots': 4095}"),
	  "1:73: capacity.slots: is 4095, allowed are 4096 to 268435456" },
	{ "slots 2^28 + 1", TOP(", 'capacity': {'slots': 268435457}"),
	  "1:73: capacity.slots: is 268435457, allowed are 4096 to 268435456" },
	{ "cells 1023", TOP(", 'capacity': {'limit_cells': 1023}"),
	  "1:79: capacity.limit_cells: is 1023, allowed are 1024 to 268435456" },
	{ "cells 2^28 + 1", TOP(", 'capacity': {'limit_cells': 268435457}"),
	  "1:79: capacity.limit_cells: is 268435457, allowed are 1024 to 268435456" },
	{ "too many services",
	  TOP(", 'capacity': {'services': 1},\n'services': [{" WEB "}, {}]"),
	  "2:13: services: has 2 services, but capacity.services is 1" },
	{ "too many backends",
	  TOP(", 'capacity': {'backends': 3},\n'services': [{" WEB ", 'forward': 'l2', "
	      "'backends': [{'address': '10.0.0.1'}, {'address': '10.0.0.2'}]}, {'name': 'dns',"
	      "'address': '203.0.113.10', 'port': 53, 'protocol': 'udp', 'forward': 'l2',"
	      "\n'backends': [{'address': '10.0.0.1'}]}]"),
	  "3:13: services[1].backends: makes 3 backends in all, but capacity.backends "
	  "has room for 2" },
};

static const struct refused interfaces[] = {
	{ "number", TOP(", 'interfaces': [1]"),
	  "1:66: interfaces[0]: is 1, allowed are a name and {'name': ..., 'mode': ...}" },
	{ "no letters", TOP(", 'interfaces': ['']"), "1:66: interfaces[0]: is '', " INTERFACES },
	{ "16 letters", TOP(", 'interfaces': ['" X16 "']"),
	  "1:66: interfaces[0]: is '" X16 "', " INTERFACES },
	{ "slash", TOP(", 'interfaces': ['a/b']"),
	  "1:66: interfaces[0]: is 'a/b', " INTERFACES },
	{ "space", TOP(", 'interfaces': ['a b']"),
	  "1:66: interfaces[0]: is 'a b', " INTERFACES },
	{ "tab", TOP(", 'interfaces': ['a\\t']"),
	  "1:66: interfaces[0]: is 'a\\t', " INTERFACES },
	{ "colon", TOP(", 'interfaces': ['eth0:1']"),
	  "1:66: interfaces[0]: is 'eth0:1', " INTERFACES },
	{ "two dots", TOP(", 'interfaces': [{'name': '..'}]"),
	  "1:75: interfaces[0].name: is '..', " INTERFACES },
	{ "no name", TOP(", 'interfaces': ['eth0', {'mode': 'native'}]"),
	  "1:74: interfaces[1].name: is missing, " INTERFACES },
	{ "name a number", TOP(", 'interfaces': [{'name': 1}]"),
	  "1:75: interfaces[0].name: is 1, " INTERFACES },
	{ "mode", TOP(", 'interfaces': [{'name': 'eth0', 'mode': 'skb'}]"),
	  "1:91: interfaces[0].mode: is 'skb', allowed are 'native', 'generic'" },
	{ "unknown", TOP(", 'interfaces': [{'name': 'eth0', 'mod': 'generic'}]"),
	  "1:83: interfaces[0].mod: unknown key, did you mean 'mode'?" },
	{ "twice", TOP(", 'interfaces': ['eth0', 'eth1',\n\t{'name': 'eth0'}]"),
	  "2:2: interfaces[2]: 'eth0' is used by interfaces[0] already" },
};

static const struct refused services[] = {
	{ "a word", SERVICES("'web'"), "3:1: services[0]: is 'web', allowed is an object" },
	{ "no name", SERVICES("{},{}"), "3:1: services[0].name: is missing, " NAMES },
	{ "no address", SERVICES("\t{'name': 'web'}"),
	  "3:2: services[0].address: is missing, " UNICAST },
	{ "no port", SERVICES("{'name': 'web', 'address': '203.0.113.10'}"),
	  "3:1: services[0].port: is missing, allowed are 1 to 65535 or 'any'" },
	{ "no protocol", SERVICES("{'name': 'web', 'address': '203.0.113.10', 'port': 1}"),
	  "3:1: services[0].protocol: is missing, allowed are 'tcp', 'udp'" },
	{ "name a list", SERVICES("{'name': []}"),
	  "3:10: services[0].name: is a list, " NAMES },
	{ "name empty", SERVICES("{'name': ''}"), "3:10: services[0].name: is '', " NAMES },
	{ "name with a space", SERVICES("{'name': 'a b'}"),
	  "3:10: services[0].name: is 'a b', " NAMES },
	{ "name of 64", SERVICES("{'name': '" X64 "'}"),
	  "3:10: services[0].name: is '" X16 X16 "xxxxxxxxxxxxxxx..., " NAMES },
	{ "address no text", SERVICES("{'name': 'web', 'address': true}"),
	  "3:28: services[0].address: is true, " UNICAST },
	{ "address no address", SERVICES("{'name': 'web', 'address': '1.2.3'}"),
	  "3:28: services[0].address: is '1.2.3', " UNICAST },
	{ "address with a port", SERVICES("{'name': 'web', 'address': '10.0.0.1:80'}"),
	  "3:28: services[0].address: is '10.0.0.1:80', " UNICAST },
	{ "address multicast", SERVICES("{'name': 'web', 'address': 'ff02::1'}"),
	  "3:28: services[0].address: is 'ff02::1', " UNICAST },
	{ "address loopback", SERVICES("{'name': 'web', 'address': '127.0.0.1'}"),
	  "3:28: services[0].address: is '127.0.0.1', " UNICAST },
	{ "port 0", SERVICES("{'name': 'w', 'address': '203.0.113.1', 'port': 0}"),
	  "3:49: services[0].port: is 0, allowed are 1 to 65535 or 'any'" },
	{ "port 70000", SERVICES("{'name': 'w', 'address': '203.0.113.1', 'port': 70000}"),
	  "3:49: services[0].port: is 70000, allowed are 1 to 65535 or 'any'" },
	{ "port -1", SERVICES("{'name': 'w', 'address': '203.0.113.1', 'port': -1}"),
	  "3:49: services[0].port: is -1, allowed are 1 to 65535 or 'any'" },
	{ "port a word", SERVICES("{'name': 'w', 'address': '203.0.113.1', 'port': '80'}"),
	  "3:49: services[0].port: is '80', allowed are 1 to 65535 or 'any'" },
	{ "port a fraction", SERVICES("{'name': 'w', 'address': '203.0.113.1', 'port': 80.0}"),
	  "3:49: services[0].port: is 80.0 (not an integer), "
	  "allowed are 1 to 65535 or 'any'" },
	{ "protocol", SERVICES("{'name': 'w', 'address': '203.0.113.1', 'port': 80,"
			       "\t'protocol': 'TCP'}"),
	  "3:65: services[0].protocol: is 'TCP', allowed are 'tcp', 'udp'" },
	{ "protocol a number", SERVICES("{'name': 'w', 'address': '203.0.113.1', 'port': 80,"
					"\t'protocol': 6}"),
	  "3:65: services[0].protocol: is 6, allowed are 'tcp', 'udp'" },
	{ "forward gue", SERVICE(", 'forward': 'gue'"),
	  "3:86: services[0].forward: is 'gue', allowed are 'ipip', 'l2'" },
	{ "forward nat", SERVICE(", 'forward': 'nat'"),
	  "3:86: services[0].forward: is 'nat', allowed are 'ipip', 'l2'" },
	{ "select", SERVICE(", 'select': 'random'"),
	  "3:85: services[0].select: is 'random', allowed is 'maglev'" },
	{ "hash", SERVICE(", 'hash': 'source'"),
	  "3:83: services[0].hash: is 'source', allowed is '5-tuple'" },
	{ "unknown key", SERVICE(", 'forwrd': 'ipip'"),
	  "3:75: services[0].forwrd: unknown key, did you mean 'forward'?" },
	{ "swapped letters", SERVICE(", 'prot': 80"),
	  "3:75: services[0].prot: unknown key, did you mean 'port'?" },
	{ "name twice", SERVICES("{" WEB "},\n{'name': 'web', 'address': '203.0.113.11', "
				 "'port': 80, 'protocol': 'tcp'}"),
	  "4:10: services[1].name: 'web' is used by services[0] already" },
	{ "address twice", SERVICES("{" WEB "},\n{'name': 'b', 'address': '203.0.113.10', "
				    "'port': 80, 'protocol': 'tcp'}"),
	  "4:26: services[1].address: '203.0.113.10:80/tcp' is used by services[0] already" },
	{ "address twice, v6", SERVICES("{'name': 'a', 'address': '2001:db8::a', "
					"'port': 'any', 'protocol': 'udp'},\n"
					"{'name': 'b', 'address': '2001:DB8:0::A', "
					"'port': 'any', 'protocol': 'udp'}"),
	  "4:26: services[1].address: '[2001:db8::a]:any/udp' is used by services[0] already" },
	{ "limits an object", SERVICE(", 'limits': {'rate': 1}"),
	  "3:85: services[0].limits: is an object, allowed is a list of limits" },
	{ "backends an object", SERVICE(", 'backends': {}"),
	  "3:87: services[0].backends: is an object, allowed is a list of backends" },
};

static const struct refused limits[] = {
	{ "a number", SERVICE(",\n'limits': [1000]"),
	  "4:12: services[0].limits[0]: is 1000, allowed is an object" },
	{ "two", SERVICE(",\n'limits': [{'rate': 1}, {'rate': 2}]"),
	  "4:11: services[0].limits: has 2 limits, a service may have 1 in this version" },
	{ "no rate", LIMIT(""),
	  "4:12: services[0].limits[0].rate: is missing, allowed are 1 to 4294967295" },
	{ "rate 0", LIMIT("'rate': 0"),
	  "4:21: services[0].limits[0].rate: is 0, allowed are 1 to 4294967295" },
	{ "rate 2^32", LIMIT("'rate': 4294967296"),
	  "4:21: services[0].limits[0].rate: is 4294967296, allowed are 1 to 4294967295" },
	{ "rate a fraction", LIMIT("'rate': 0.5"),
	  "4:21: services[0].limits[0].rate: is 0.5 (not an integer), "
	  "allowed are 1 to 4294967295" },
	{ "burst 0", LIMIT("'rate': 9, 'burst': 0"),
	  "4:33: services[0].limits[0].burst: is 0, allowed are 1 to 4294967295" },
	{ "burst too long", LIMIT("'rate': 9, 'burst': 9000001"),
	  "4:33: services[0].limits[0].burst: is 9000001, which takes more than 1000000 seconds "
	  "at this rate, allowed are 1 to 9000000" },
	{ "prefix_v4", LIMIT("'rate': 9, 'prefix_v4': 33"),
	  "4:37: services[0].limits[0].prefix_v4: is 33, allowed are 0 to 32" },
	{ "prefix_v6", LIMIT("'rate': 9, 'prefix_v6': 129"),
	  "4:37: services[0].limits[0].prefix_v6: is 129, allowed are 0 to 128" },
	{ "prefix below 0", LIMIT("'rate': 9, 'prefix_v6': -1"),
	  "4:37: services[0].limits[0].prefix_v6: is -1, allowed are 0 to 128" },
	{ "per", LIMIT("'rate': 9, 'per': 'service'"),
	  "4:31: services[0].limits[0].per: is 'service', allowed is 'source'" },
	{ "unit", LIMIT("'rate': 9, 'unit': 'bytes'"),
	  "4:32: services[0].limits[0].unit: is 'bytes', allowed is 'packets'" },
	{ "unknown key", LIMIT("'rate': 9, 'prefix4': 24"),
	  "4:24: services[0].limits[0].prefix4: unknown key, did you mean 'prefix_v4'?" },
};

static const struct refused backends[] = {
	{ "a word", SERVICE(",\n'backends': ['10.0.0.1']"),
	  "4:14: services[0].backends[0]: is '10.0.0.1', allowed is an object" },
	{ "no address", BACKEND("'weight': 1"),
	  "4:14: services[0].backends[0].address: is missing, " UNICAST },
	{ "address", BACKEND("'address': '10.0.0.300'"),
	  "4:26: services[0].backends[0].address: is '10.0.0.300', " UNICAST },
	{ "address a name", BACKEND("'address': 'www.example.com'"),
	  "4:26: services[0].backends[0].address: is 'www.example.com', " UNICAST },
	{ "address broadcast", BACKEND("'address': '255.255.255.255'"),
	  "4:26: services[0].backends[0].address: is '255.255.255.255', " UNICAST },
	{ "address mapped", BACKEND("'address': '::ffff:10.0.0.1'"),
	  "4:26: services[0].backends[0].address: is '::ffff:10.0.0.1', " UNICAST },
	{ "address the service's", BACKEND("'address': '203.0.113.10'"),
	  "4:26: services[0].backends[0].address: is the service's own address" },
	{ "other port behind the address", BACKEND("'address': '10.0.0.1:8080'"),
	  "4:26: services[0].backends[0].address: has port 8080, but the service has port 80 "
	  "and " MAPS },
	{ "other port", BACKEND("'address': '10.0.0.1', 'port': 8080"),
	  "4:46: services[0].backends[0].port: has port 8080, but the service has port 80 "
	  "and " MAPS },
	{ "any port", BACKEND("'address': '10.0.0.1', 'port': 'any'"),
	  "4:46: services[0].backends[0].port: has port any, but the service has port 80 "
	  "and " MAPS },
	{ "one port of any", SERVICES("{'name': 'a', 'address': '203.0.113.1', 'port': 'any', "
				      "'protocol': 'tcp', 'backends': [\n{'address': "
				      "'[2001:db8::2]:80'}]}"),
	  "4:13: services[0].backends[0].address: has port 80, but the service has port any "
	  "and " MAPS },
	{ "port no port", BACKEND("'address': '10.0.0.1', 'port': 'http'"),
	  "4:46: services[0].backends[0].port: is 'http', allowed is only the service's port" },
	{ "weight below 0", BACKEND("'address': '10.0.0.1', 'weight': -1"),
	  "4:48: services[0].backends[0].weight: is -1, allowed are 0 to 10000" },
	{ "weight 10001", BACKEND("'address': '10.0.0.1', 'weight': 10001"),
	  "4:48: services[0].backends[0].weight: is 10001, allowed are 0 to 10000" },
	{ "weight a word", BACKEND("'address': '10.0.0.1', 'weight': '1'"),
	  "4:48: services[0].backends[0].weight: is '1', allowed are 0 to 10000" },
	{ "state", BACKEND("'address': '10.0.0.1', 'state': 'down'"),
	  "4:47: services[0].backends[0].state: is 'down', allowed are 'active', 'draining'" },
	{ "unknown key", BACKEND("'addr': '10.0.0.1'"),
	  "4:15: services[0].backends[0].addr: unknown key, did you mean 'address'?" },
	{ "twice", SERVICE(", 'backends': [\r\n\t{'address': '10.0.0.1'},\r\n"
			   "\t{'address':\t'10.0.0.1:80'}]"),
	  "5:14: services[0].backends[1].address: '10.0.0.1' is used by "
	  "services[0].backends[0] already" },
	{ "twice, v6", SERVICE(", 'backends': [\n{'address': '2001:db8::2'},\n"
			       "{'address': '[2001:db8:0:0::2]'}]"),
	  "5:13: services[0].backends[1].address: '2001:db8::2' is used by "
	  "services[0].backends[0] already" },
	{ "no source_address", TOP(", 'services': [{" WEB ",\n'backends':"
				   "[{'address': '10.0.0.1'}]}]"),
	  "2:25: services[0].backends[0].address: is IPv4 and forward is 'ipip': set "
	  "'source_address' to an IPv4 address of this balancer" },
	{ "no source_address_v6", TOP(", 'source_address': '192.0.2.1', 'services': [{" WEB
				      ",\n'backends':[{'address': '2001:db8::2'}]}]"),
	  "2:25: services[0].backends[0].address: is IPv6 and forward is 'ipip': set "
	  "'source_address_v6' to an IPv6 address of this balancer" },
};

/* Positions behind all that JSON may put in front of a value. */
static const struct refused places[] = {
	{ "brackets and quotes in strings",
	  "{'hash_seed':'00112233445566778899aabbccddeeff', 'interfaces':['[{\\\\','\\'}]',\n"
	  "'],[', 1]}",
	  "2:8: interfaces[3]: is 1, allowed are a name and {'name': ..., 'mode': ...}" },
	{ "no white space",
	  "{'capacity':{'slots':4096,'services':9,'backends':9},'interfaces':[],'services':[{},"
	  "{}],'hash_seed':1}", "1:101: hash_seed: is 1, " SEED_ALLOWED },
	{ "white space everywhere",
	  "\r\n{ \t'services' : [ { } , { 'a' : [ [ ] , { } ] } ]\r\n ,\r\n\t'hash_seed' "
	  "\r\n:\t1 }",
	  "5:3: hash_seed: is 1, " SEED_ALLOWED },
	{ "behind other letters", "{'hash_seed': '\xe2\x82\xac', 'x': 1}", "1:20: x: unknown key" },
	{ "twelfth element",
	  TOP(",'interfaces':['a','b','c','d','e','f','g','h','i','j','k',\n\n0]"),
	  "3:1: interfaces[11]: is 0, allowed are a name and {'name': ..., 'mode': ...}" },
};


static int is_refused(const struct refused *row, bool located, const char *line)
{
	struct config *config;
	struct error error = { "" };
	int err = load(row->json, located, &config, &error);

	replace(error.text, '"', '\'');
	if (err == -EINVAL && !config && !strcmp(error.text, line))
		return 1;
	print_error("%s: %d \"%s\"\n%*s wanted \"%s\"\n", row->name, err, error.text,
		    (int)strlen(row->name), "", line);
	config_free(config);
	return 0;
}

/* Each row with its place, and unless it is no JSON at all without. */
static void check_refused(const struct refused *rows, size_t count)
{
	size_t failed = 0;
	char line[1024];

	for (; count--; rows++) {
		snprintf(line, sizeof(line), "t:%s", rows->line);
		failed += !is_refused(rows, true, line);
		if (rows < syntax || rows >= syntax + sizeof(syntax) / sizeof(*syntax))
			failed += !is_refused(rows, false, strchr(rows->line, ' ') + 1);
	}
	assert_int_equal(failed, 0);
}

#define TEST_REFUSED(table) \
	static void refuses_##table(void **state) \
	{ \
		check_refused(table, sizeof(table) / sizeof(*table)); \
	}

TEST_REFUSED(syntax)
TEST_REFUSED(top)
TEST_REFUSED(capacity)
TEST_REFUSED(interfaces)
TEST_REFUSED(services)
TEST_REFUSED(limits)
TEST_REFUSED(backends)
TEST_REFUSED(places)

static void refuses_nul_bytes(void **state)
{
	static const char in_a_string[] = "{\n\"a\": \"b\0c\"}", behind_a_number[] = "{\"a\": 1\0}";
	struct error error;
	json_t *root;

	assert_int_equal(config_parse_text(in_a_string, sizeof(in_a_string) - 1, "t", &root,
					   &error), -EINVAL);
	assert_null(root);
	assert_string_equal(error.text, "t:2:8: a NUL byte, allowed is plain UTF-8");
	assert_int_equal(config_parse_text(behind_a_number, sizeof(behind_a_number) - 1, "t", &root,
					   &error), -EINVAL);
	assert_null(root);
	assert_string_equal(error.text, "t:1:8: a NUL byte, allowed is plain UTF-8");
}

static void refuses_deep_nesting(void **state)
{
	struct error error;
	char text[4096];
	json_t *root;

	memset(text, '[', sizeof(text));
	assert_int_equal(config_parse_text(text, sizeof(text), "t", &root, &error), -EINVAL);
	assert_string_equal(error.text,
			    "t:1:2049: not valid JSON: maximum parsing depth reached near '['");
}

/* The first value is as deep as jansson reads; the wrong one comes after it. */
static void locates_behind_deep_nesting(void **state)
{
	enum { DEPTH = 2000 };
	static const char head[] = "{'services': ", tail[] = ",\n 'servicez': 1}";
	char text[sizeof(head) + 2 * DEPTH + sizeof(tail)] = "";
	struct config *config;
	struct error error;

	strcpy(text, head);
	memset(text + strlen(head), '[', DEPTH);
	memset(text + strlen(head) + DEPTH, ']', DEPTH);
	strcat(text, tail);
	assert_int_equal(load(text, true, &config, &error), -EINVAL);
	assert_string_equal(error.text,
			    "t:2:2: servicez: unknown key, did you mean \"services\"?");
}

/* ---- what is accepted ---- */

static void has_defaults(const struct config *config)
{
	static const uint8_t seed[] = { 0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77,
					0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff };

	assert_memory_equal(config->hash_seed, seed, sizeof(seed));
	assert_int_equal(config->source_v4.family, 0);
	assert_int_equal(config->source_v6.family, 0);
	assert_int_equal(config->interface_count, 0);
	assert_int_equal(config->service_count, 0);
	assert_int_equal(config->capacity.services, WEIR_SERVICES);
	assert_int_equal(config->capacity.backends, WEIR_BACKENDS);
	assert_int_equal(config->capacity.slots, WEIR_SLOTS);
	assert_int_equal(config->capacity.limit_cells, WEIR_LIMIT_CELLS);
}

static void has_small_capacity(const struct config *config)
{
	assert_int_equal(config->capacity.services, 1);
	assert_int_equal(config->capacity.backends, 2);
	assert_int_equal(config->capacity.slots, 4096 + 16);
	assert_int_equal(config->capacity.limit_cells, 1024 + 4);
}

static void has_large_capacity(const struct config *config)
{
	assert_int_equal(config->capacity.services, 65535);
	assert_int_equal(config->capacity.backends, 65536);
	assert_int_equal(config->capacity.slots, 1 << 28);
	assert_int_equal(config->capacity.limit_cells, 1 << 28);
}

static void has_interfaces(const struct config *config)
{
	static const struct config_interface wanted[] = {
		{ "eth0", false }, { "eth1", false }, { "eth2", true },
		{ "123456789012345", false },
	};
	size_t i;

	assert_int_equal(config->interface_count, 4);
	for (i = 0; i < 4; i++) {
		assert_string_equal(config->interfaces[i].name, wanted[i].name);
		assert_int_equal(config->interfaces[i].generic, wanted[i].generic);
	}
}

static void has_service_defaults(const struct config *config)
{
	const struct config_service *service = config_service_find(config, "web");
	char text[ADDRESS_TEXT];

	assert_ptr_equal(service, config->services);
	assert_null(config_service_find(config, "we"));
	assert_string_equal(address_format_service(&service->address, service->port,
						   service->protocol, text), "203.0.113.10:80/tcp");
	assert_string_equal(forward_name(service->forward), "ipip");
	assert_int_equal(service->select, SELECT_MAGLEV);
	assert_int_equal(service->hash, HASH_5_TUPLE);
	assert_int_equal(service->limit_count, 0);
	assert_int_equal(service->embedded.count, 0);
}

/* The keys of a service in an order in which they do not help each other. */
static void has_whole_service(const struct config *config)
{
	const struct config_service *service = &config->services[0];
	const struct backend *backend = service->embedded.backends;
	char text[ADDRESS_TEXT];

	assert_string_equal(service->name, "a.b_c-D");
	assert_int_equal(service->forward, WEIR_FORWARD_L2);
	assert_int_equal(service->port, 0);
	assert_int_equal(service->protocol, IPPROTO_UDP);
	assert_int_equal(service->limit_count, 1);
	assert_int_equal(service->limits[0].rate, 4294967295);
	assert_int_equal(service->limits[0].burst, 1);
	assert_int_equal(service->limits[0].prefix_v4, 0);
	assert_int_equal(service->limits[0].prefix_v6, 128);
	assert_int_equal(service->embedded.count, 2);
	assert_string_equal(address_format(&backend[0].address, text), "10.0.0.11");
	assert_int_equal(backend[0].weight, 10000);
	assert_int_equal(backend[0].state, BACKEND_DRAINING);
	assert_string_equal(address_format(&backend[1].address, text), "2001:db8::11");
	assert_int_equal(backend[1].weight, 0);
	assert_int_equal(backend[1].state, BACKEND_ACTIVE);
}

static void has_default_limit(const struct config *config)
{
	assert_int_equal(config->services[0].limits[0].rate, 1000);
	assert_int_equal(config->services[0].limits[0].burst, 100);
	assert_int_equal(config->services[0].limits[0].prefix_v4, 32);
	assert_int_equal(config->services[0].limits[0].prefix_v6, 64);
}

static void has_burst_1(const struct config *config)
{
	assert_int_equal(config->services[0].limits[0].burst, 1);
}

static void has_longest_burst(const struct config *config)
{
	assert_int_equal(config->services[0].limits[0].burst, 9000000);
}

static void has_no_limit(const struct config *config)
{
	assert_int_equal(config->services[0].limit_count, 0);
}

static void has_3_backends(const struct config *config)
{
	const struct snapshot *snapshot = &config->services[0].embedded;

	assert_int_equal(snapshot->count, 3);
	assert_int_equal(snapshot->backends[2].weight, 1);
	assert_int_equal(snapshot->backends[2].state, BACKEND_ACTIVE);
	assert_int_equal(config->source_v4.family, WEIR_IPV4);
	assert_int_equal(config->source_v6.family, WEIR_IPV6);
}

static void has_3_services(const struct config *config)
{
	assert_int_equal(config->service_count, 3);
	assert_string_equal(config->services[2].name, "all");
}

static const struct {
	const char *name;
	const char *json;
	void (*check)(const struct config *config);
} accepted[] = {
	{ "only a seed", "{'hash_seed': '00112233445566778899AABBCCDDEEFF'}", has_defaults },
	{ "empty lists", TOP(", 'services': [], 'interfaces': [], 'capacity': {}"), has_defaults },
	{ "least capacity",
	  TOP(", 'capacity': {'services': 1, 'backends': 2, 'slots': 4097, 'limit_cells': 1025}"),
	  has_small_capacity },
	{ "largest capacity",
	  TOP(", 'capacity': {'services': 65535, 'backends': 65536, 'slots': 268435456,"
	      "'limit_cells': 268435453}"), has_large_capacity },
	{ "capacity used up",
	  TOP(", 'services': [{" WEB ", 'forward': 'l2', 'backends': [{'address': '10.0.0.1'}]}],"
	      "'capacity': {'services': 1, 'backends': 2, 'slots': 4097, 'limit_cells': 1025}"),
	  has_small_capacity },
	{ "interfaces",
	  TOP(", 'interfaces': ['eth0', {'name': 'eth1', 'mode': 'native'},"
	      "{'mode': 'generic', 'name': 'eth2'}, '123456789012345']"), has_interfaces },
	{ "service", SERVICE(""), has_service_defaults },
	{ "service said in full",
	  SERVICE(", 'forward': 'ipip', 'select': 'maglev', 'hash': '5-tuple', 'limits': [], "
		  "'backends': []"), has_service_defaults },
	{ "service backwards",
	  TOP(", 'services': [{'backends': [{'state': 'draining', 'weight': 10000, 'port': 'any', "
	      "'address': '10.0.0.11'}, {'state': 'active', 'weight': 0, 'address': "
	      "'2001:db8::11'}], 'limits': [{'prefix_v6': 128, 'prefix_v4': 0, 'burst': 1, "
	      "'rate': 4294967295, 'unit': 'packets', 'per': 'source'}], 'hash': '5-tuple', "
	      "'select': 'maglev', 'forward': 'l2', 'protocol': 'udp', 'port': 'any', "
	      "'address': '2001:db8::10', 'name': 'a.b_c-D'}]"), has_whole_service },
	{ "limit", LIMIT("'rate': 1000"), has_default_limit },
	{ "slow limit", LIMIT("'rate': 9"), has_burst_1 },
	{ "longest burst", LIMIT("'rate': 9, 'burst': 9000000"), has_longest_burst },
	{ "no limits", SERVICE(", 'limits': []"), has_no_limit },
	{ "the service's own port",
	  BACKEND("'address': '10.0.0.1:80'}, {'address': '10.0.0.2', 'port': 80}, "
		  "{'address': '[2001:db8::2]:80', 'port': 80"), has_3_backends },
	{ "one address, several services",
	  SERVICES("{" WEB "}, {'name': 'dns', 'address': '203.0.113.10', 'port': 80, 'protocol': "
		   "'udp'}, {'name': 'all', 'address': '203.0.113.10', 'port': 'any', "
		   "'protocol': 'tcp'}"), has_3_services },
	{ "63 letters, escaped",
	  SERVICES("{'n\\u0061me': 'xxxxxxxxxxxxxxx" X16 X16 X16 "', "
		   "'address': '203.0.113.10', 'port': 1, 'protocol': 'tcp'},"
		   "{" WEB "}, {'name': 'all', 'address': '203.0.113.10', "
		   "'port': 65535, 'protocol': 'tcp'}"), has_3_services },
};

static void accepts(void **state)
{
	struct config *config;
	struct error error = { "" };
	size_t i;

	for (i = 0; i < sizeof(accepted) / sizeof(*accepted); i++) {
		if (load(accepted[i].json, true, &config, &error))
			fail_msg("%s: %s", accepted[i].name, error.text);
		print_message("  %s\n", accepted[i].name);
		accepted[i].check(config);
		config_free(config);
	}
}

/* As many backends as fit: checking them is not quadratic, and the last counts, too. */
static char *many_backends(size_t count, size_t last)
{
	char *text = malloc(64 * (count + 8)), *end = text;
	size_t i, number;

	end += sprintf(end, "{" SEED ", 'capacity': {'backends': 65536}, 'services': "
		       "[{" WEB ", 'forward': 'l2', 'backends': [");
	for (i = 0; i < count; i++) {
		number = i == count - 1 ? last : i;
		end += sprintf(end, "{'address': '10.1.%zu.%zu'},", number >> 8, number & 0xff);
	}
	strcpy(end - 1, "]}]}");
	return text;
}

static void reads_65535_backends(void **state)
{
	struct config *config;
	struct error error;
	char *text = many_backends(65535, 65534);

	assert_int_equal(load(text, true, &config, &error), 0);
	assert_int_equal(config->services[0].embedded.count, 65535);
	config_free(config);
	free(text);
	text = many_backends(65535, 77);
	assert_int_equal(load(text, false, &config, &error), -EINVAL);
	assert_string_equal(error.text, "services[0].backends[65534].address: \"10.1.0.77\" is "
			    "used by services[0].backends[77] already");
	free(text);
	text = many_backends(65536, 65535);
	assert_int_equal(load(text, false, &config, &error), -EINVAL);
	assert_string_equal(error.text, "services[0].backends: makes 65536 backends in all, but "
			    "capacity.backends has room for 65535");
	free(text);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(refuses_syntax),
		cmocka_unit_test(refuses_top),
		cmocka_unit_test(refuses_capacity),
		cmocka_unit_test(refuses_interfaces),
		cmocka_unit_test(refuses_services),
		cmocka_unit_test(refuses_limits),
		cmocka_unit_test(refuses_backends),
		cmocka_unit_test(refuses_places),
		cmocka_unit_test(refuses_nul_bytes),
		cmocka_unit_test(refuses_deep_nesting),
		cmocka_unit_test(locates_behind_deep_nesting),
		cmocka_unit_test(accepts),
		cmocka_unit_test(reads_65535_backends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
