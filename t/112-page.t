# The manager's page in a browser, against a server of invented data: what it shows, how it is used, and that it
# takes no harm. The tests are in t/browser/page.test.js; here they are made ready and run.
# SPDX-License-Identifier: Apache-2.0
use Abl::Test bound => 300;
use Abl::Page;

exit Abl::Page::run('page.test.js');
