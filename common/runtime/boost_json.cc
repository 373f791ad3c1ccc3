// Boost.JSON's definitions: with these here its header is all that others include, and no Boost
// library is linked.
#include <boost/json/src.hpp>
