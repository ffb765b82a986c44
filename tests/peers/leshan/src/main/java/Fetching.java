import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;

import org.eclipse.californium.core.CoapClient;
import org.eclipse.californium.core.CoapResponse;
import org.eclipse.californium.core.network.CoapEndpoint;
import org.eclipse.californium.elements.config.Configuration;
import org.eclipse.californium.scandium.DTLSConnector;
import org.eclipse.californium.scandium.config.DtlsConfig;
import org.eclipse.californium.scandium.config.DtlsConnectorConfig;
import org.eclipse.californium.scandium.dtls.pskstore.SinglePskStore;

/** Gets an image by CoAP, coaps (with the device's key) or HTTP, from a port of its own. */
class Fetching {
    private final SinglePskStore keys;

    Fetching() {
        keys = null;
    }

    Fetching(String identity, byte[] key) {
        keys = new SinglePskStore(identity, key);
    }

    byte[] fetch(String address) throws Exception {
        URI uri = URI.create(address);
        if (uri.getScheme().equals("http")) {
            HttpRequest request = HttpRequest.newBuilder(uri).build();
            HttpResponse<byte[]> response = HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofByteArray());
            if (response.statusCode() != 200) {
                throw new IOException("HTTP " + response.statusCode());
            }
            return response.body();
        }
        CoapClient client = new CoapClient(address);
        CoapEndpoint secure = uri.getScheme().equals("coaps") ? secure() : null;
        try {
            if (secure != null) {
                client.setEndpoint(secure);
            }
            CoapResponse response = client.get();
            if (response == null || !response.isSuccess()) {
                throw new IOException(response == null ? "no answer" : response.getCode().toString());
            }
            return response.getPayload();
        } finally {
            if (secure != null) {
                secure.destroy();
            }
        }
    }

    private CoapEndpoint secure() throws IOException {
        Configuration configuration = new Configuration(Configuration.getStandard());
        configuration.set(DtlsConfig.DTLS_CONNECTION_ID_LENGTH, null);
        DtlsConnectorConfig.Builder dtls = DtlsConnectorConfig.builder(configuration);
        dtls.setAddress(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0));
        dtls.setPskStore(keys);
        CoapEndpoint.Builder endpoint = CoapEndpoint.builder();
        endpoint.setConfiguration(configuration);
        endpoint.setConnector(new DTLSConnector(dtls.build()));
        CoapEndpoint made = endpoint.build();
        made.start();
        return made;
    }
}
